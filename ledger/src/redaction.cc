#include "grace/ledger/redaction.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>

#include "io_error.h"
#include "json.h"
#include "json_fields.h"
#include "text_codec.h"
#include "value_store.h"

namespace grace::ledger {
namespace {

constexpr std::string_view kDomain = "grace ledger commitment";
constexpr std::string_view kBegin = "{\"$commitment\":\"";
constexpr std::string_view kMiddle = "\",\"$id\":";
constexpr std::size_t kHexDigits = 2 * sizeof(Hash);

std::int64_t system_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

int fill_random(Salt& salt) {
  std::size_t filled = 0;
  while (filled < salt.size()) {
    const ssize_t got = ::getrandom(salt.data() + filled, salt.size() - filled, 0);
    if (got < 0 && errno != EINTR) return -errno;
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  return 0;
}

tl::unexpected<Error> bad_path(std::string_view path, const std::string& why) {
  return make_error(ErrorCode::kInvalidArgument,
                    "redacted field '" + std::string(path) + "': " + why);
}

// What a record is found by, and what recovery of any kind sorts records by.
constexpr std::array<std::string_view, 4> kKeptFields{"ts", "action", "subsystem", "result"};

}  // namespace

Hash commitment_of(const Salt& salt, std::string_view value) {
  Sha256 hasher;
  hasher.update(kDomain);
  hasher.update(std::as_bytes(std::span(salt)));
  hasher.update(value);
  return hasher.finish();
}

Result<void> check_field_path(std::string_view path) {
  if (path.empty()) return bad_path(path, "is empty");
  if (path.size() > internal::kPathBytesMax) return bad_path(path, "is longer than 1024 bytes");
  if (path.front() == '.' || path.back() == '.' || path.find("..") != std::string_view::npos) {
    return bad_path(path, "has an empty name between its dots");
  }
  const std::string_view first = path.substr(0, path.find('.'));
  if (std::find(kKeptFields.begin(), kKeptFields.end(), first) != kKeptFields.end()) {
    return bad_path(path, "a record is found by its '" + std::string(first) + "'");
  }
  return {};
}

struct Redactor::State {
  explicit State(RedactionConfig given) : config(std::move(given)) {}

  void note_failure(Error found) {
    if (!error) error = std::move(found);
  }
  void replace(std::string_view path, std::string_view value, std::string& out);

  const RedactionConfig config;
  std::mutex mutex;
  // Guarded by mutex.
  std::optional<internal::ValueStore> store;
  std::optional<Error> error;
  Stats stats;
  int random_errno = 0;
};

void Redactor::State::replace(std::string_view path, std::string_view value, std::string& out) {
  StoredValue stored;
  stored.path = path;
  stored.time_ns = config.wall_clock_ns != nullptr ? config.wall_clock_ns() : system_clock_ns();
  internal::append_without_blanks(value, stored.value);
  if (const int failed = fill_random(stored.salt); failed < 0) random_errno = failed;
  stored.commitment = commitment_of(stored.salt, stored.value);
  ++stats.values;
  std::uint64_t id = 0;
  if (store) {
    const auto appended = store->append(stored);
    if (appended) id = *appended;
    if (!appended) note_failure(appended.error());
  }
  if (id == 0) ++stats.lost_values;
  out.append(kBegin).append(to_hex(stored.commitment)).append(kMiddle);
  out.append(std::to_string(id)).append("}");
  ::explicit_bzero(stored.salt.data(), stored.salt.size());
}

Redactor::Redactor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Redactor::~Redactor() = default;

Result<std::unique_ptr<Redactor>> Redactor::create(RedactionConfig config) {
  for (const std::string& path : config.fields) {
    if (auto checked = check_field_path(path); !checked) {
      return tl::unexpected<Error>(checked.error());
    }
  }
  if (config.file_system == nullptr) config.file_system = &real_file_system();
  return std::unique_ptr<Redactor>(new Redactor(std::make_unique<State>(std::move(config))));
}

Result<void> Redactor::open_store(const std::string& log_directory) {
  const std::lock_guard lock(state_->mutex);
  state_->store.emplace(*state_->config.file_system, internal::value_directory(log_directory));
  auto opened = state_->store->open();
  if (!opened) state_->store.reset();
  return opened;
}

Result<std::string_view> Redactor::redact(std::string_view record, std::string& out) {
  if (state_->config.fields.empty()) return record;
  if (!internal::is_json_object(record)) {
    return make_error(ErrorCode::kInvalidArgument, "not redacted: the record is no JSON object");
  }
  const std::lock_guard lock(state_->mutex);
  State& state = *state_;
  state.random_errno = 0;
  out.clear();
  const bool replaced = internal::replace_fields(
      record, state.config.fields,
      [&state](std::string_view path, std::string_view value, std::string& text) {
        state.replace(path, value, text);
      },
      out);
  if (state.random_errno < 0) {
    return internal::make_io_error("not redacted: no random numbers for a salt from", "getrandom",
                                   state.random_errno);
  }
  return replaced ? std::string_view(out) : record;
}

void Redactor::sync() {
  const std::lock_guard lock(state_->mutex);
  if (!state_->store) return;
  if (auto synced = state_->store->sync(); !synced) state_->note_failure(synced.error());
}

Result<void> Redactor::health() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->error) return tl::unexpected<Error>(*state_->error);
  return {};
}

Redactor::Stats Redactor::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stats;
}

AppendStatus RedactingAppender::append(RecordType type, std::string_view payload) {
  if (type != RecordType::kJson) return next_.append(type, payload);
  const auto redacted = redactor_.redact(payload, redacted_);
  return redacted ? next_.append(type, *redacted) : AppendStatus::kFailed;
}

// A quote inside a JSON string has a backslash in front, so what reads like the beginning of a
// commitment is one: no parser is needed to find it.
std::vector<Commitment> commitments_in(std::string_view record) {
  std::vector<Commitment> found;
  for (std::size_t at = record.find(kBegin); at != std::string_view::npos;
       at = record.find(kBegin, at + 1)) {
    Commitment commitment;
    commitment.offset = at;
    const std::string_view rest = record.substr(at + kBegin.size());
    if (!internal::decode_hex(rest.substr(0, kHexDigits), commitment.hash)) continue;
    if (!rest.substr(kHexDigits).starts_with(kMiddle)) continue;
    const std::string_view number = rest.substr(kHexDigits + kMiddle.size());
    const std::size_t digits = number.find('}');
    const auto id = internal::parse_decimal(number.substr(0, digits));
    if (digits == std::string_view::npos || !id) continue;
    commitment.id = *id;
    commitment.size_bytes = kBegin.size() + kHexDigits + kMiddle.size() + digits + 1;
    found.push_back(commitment);
  }
  return found;
}

}  // namespace grace::ledger
