// Opening commitments, and deleting what opens them.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "grace/ledger/redaction.h"
#include "io_error.h"
#include "value_store.h"

namespace grace::ledger {
namespace {

using internal::ValueFile;
using internal::ValueFileName;

// The file that an id lies in, if it lies in any.
const ValueFileName* file_of(const std::vector<ValueFileName>& files, std::uint64_t id) {
  const auto behind = std::upper_bound(
      files.begin(), files.end(), id,
      [](std::uint64_t wanted, const ValueFileName& file) { return wanted < file.first_id; });
  return behind == files.begin() || id == 0 ? nullptr : &*std::prev(behind);
}

StoredValue* find_in(ValueFile& file, const Commitment& wanted) {
  const auto at =
      std::lower_bound(file.values.begin(), file.values.end(), wanted.id,
                       [](const StoredValue& value, std::uint64_t id) { return value.id < id; });
  const bool found =
      at != file.values.end() && at->id == wanted.id && at->commitment == wanted.hash;
  return found ? &*at : nullptr;
}

// Writes the file's new content beside it, whole, and lets finish_deletions() put it in its place.
Result<void> rewrite(FileSystem& fs, const std::string& directory, const std::string& path,
                     const ValueFile& file) {
  std::string bytes;
  internal::append_value_file_header(file.first_id, bytes);
  for (const StoredValue& value : file.values) internal::append_value(value, bytes);
  const std::string stem = path.substr(0, path.rfind('.'));
  const std::string unfinished = stem + ".unfinished";
  const int fd = fs.open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return internal::make_io_error("create", unfinished, fd);
  const int written = internal::write_all(fs, fd, std::as_bytes(std::span(bytes)), 0);
  const int synced = written < 0 ? 0 : fs.sync_file(fd);
  (void)fs.close(fd);
  if (written < 0) return internal::make_io_error("write", unfinished, written);
  if (synced < 0) return internal::make_io_error("sync", unfinished, synced);
  if (const int renamed = fs.rename(unfinished, stem + ".rewrite"); renamed < 0) {
    return internal::make_io_error("rename", unfinished, renamed);
  }
  if (const int named = fs.sync_directory(directory); named < 0) {
    return internal::make_io_error("sync directory", directory, named);
  }
  return internal::finish_deletions(fs, directory);
}

// Takes one value's salt and content away. Counts what was asked for.
void forget(StoredValue& value, std::int64_t now_ns, DeletionReport& report, bool& changed) {
  if (value.deleted_ns != 0) {
    ++report.deleted_before;
    return;
  }
  value.salt = {};
  value.value.clear();
  value.deleted_ns = now_ns;
  ++report.deleted;
  changed = true;
}

}  // namespace

struct StoredValues::State {
  [[nodiscard]] bool has_loaded(std::uint64_t id) const;
  [[nodiscard]] Result<bool> load(std::uint64_t id);

  std::string directory;
  std::string loaded_path;
  struct stat loaded {};
  ValueFile file;
};

StoredValues::StoredValues(const std::string& log_directory) : state_(std::make_unique<State>()) {
  state_->directory = internal::value_directory(log_directory);
}
StoredValues::~StoredValues() = default;

// Whether the file that was read last is as it was, and would hold that id.
bool StoredValues::State::has_loaded(std::uint64_t id) const {
  struct stat info {};
  return !file.values.empty() && id >= file.first_id && id <= file.values.back().id &&
         ::stat(loaded_path.c_str(), &info) == 0 && info.st_ino == loaded.st_ino &&
         info.st_size == loaded.st_size && info.st_mtim.tv_sec == loaded.st_mtim.tv_sec &&
         info.st_mtim.tv_nsec == loaded.st_mtim.tv_nsec;
}

Result<bool> StoredValues::State::load(std::uint64_t id) {
  const auto files = internal::list_value_files(directory);
  if (!files && files.error().code == ErrorCode::kNotFound) return false;
  if (!files) return tl::unexpected<Error>(files.error());
  const ValueFileName* const name = file_of(*files, id);
  if (name == nullptr) return false;
  file = {};
  loaded_path = name->path;
  if (::stat(loaded_path.c_str(), &loaded) != 0) return false;
  auto read = internal::read_value_file(loaded_path);
  if (!read) return tl::unexpected<Error>(read.error());
  if (*read) file = std::move(**read);
  return read->has_value();
}

Result<std::optional<StoredValue>> StoredValues::find(const Commitment& commitment) {
  const auto lock = internal::ValueLock::acquire_to_read(state_->directory);
  if (!state_->has_loaded(commitment.id)) {
    const auto loaded = state_->load(commitment.id);
    if (!loaded) return tl::unexpected<Error>(loaded.error());
    if (!*loaded) return std::optional<StoredValue>();
  }
  const StoredValue* const value = find_in(state_->file, commitment);
  if (value == nullptr) return std::optional<StoredValue>();
  if (value->deleted_ns == 0 && commitment_of(value->salt, value->value) != commitment.hash) {
    return std::optional<StoredValue>();  // sound bytes, but not what was committed to
  }
  return std::optional<StoredValue>(*value);
}

Result<std::string> StoredValues::restore(std::string_view record) {
  std::string out;
  std::size_t copied = 0;
  for (const Commitment& commitment : commitments_in(record)) {
    const auto value = find(commitment);
    if (!value) return tl::unexpected<Error>(value.error());
    if (!*value || (*value)->deleted_ns != 0) continue;
    out.append(record.substr(copied, commitment.offset - copied)).append((*value)->value);
    copied = commitment.offset + commitment.size_bytes;
  }
  out.append(record.substr(copied));
  return out;
}

Result<DeletionReport> delete_values(const std::string& log_directory, const Deletion& deletion,
                                     FileSystem* file_system, std::int64_t now_ns) {
  FileSystem& fs = file_system != nullptr ? *file_system : real_file_system();
  const std::string directory = internal::value_directory(log_directory);
  const auto files = internal::list_value_files(directory);
  if (!files) return tl::unexpected<Error>(files.error());
  if (now_ns == 0) {
    now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                 std::chrono::system_clock::now().time_since_epoch())
                 .count();
  }
  DeletionReport report;
  report.missing = deletion.commitments.size();
  for (const ValueFileName& name : *files) {
    // The lock is held for one file at a time, so that a live writer waits no longer.
    const auto lock = internal::ValueLock::acquire(directory);
    if (!lock) return tl::unexpected<Error>(lock.error());
    if (auto finished = internal::finish_deletions(fs, directory); !finished) {
      return tl::unexpected<Error>(finished.error());
    }
    auto file = internal::read_value_file(name.path);
    if (!file) return tl::unexpected<Error>(file.error());
    if (!*file) continue;
    bool changed = false;
    bool touched = deletion.before_ns.has_value();
    for (const Commitment& wanted : deletion.commitments) {
      if (file_of(*files, wanted.id) != &name) continue;
      touched = true;
      StoredValue* const value = find_in(**file, wanted);
      if (value == nullptr) continue;
      --report.missing;
      forget(*value, now_ns, report, changed);
    }
    for (StoredValue& value : (*file)->values) {
      if (!deletion.before_ns || value.time_ns >= *deletion.before_ns) continue;
      if (value.deleted_ns == 0) forget(value, now_ns, report, changed);
    }
    // Nobody knows what a damaged rest holds: it may be what is to go.
    const bool damaged = touched && (*file)->damaged_bytes > 0;
    if (!changed && !damaged) continue;
    if (auto rewritten = rewrite(fs, directory, name.path, **file); !rewritten) {
      return tl::unexpected<Error>(rewritten.error());
    }
    report.wiped_bytes += (*file)->damaged_bytes;
  }
  return report;
}

}  // namespace grace::ledger
