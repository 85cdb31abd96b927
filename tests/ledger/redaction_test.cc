// Values that never reach the log: what replaces them, what opens them, what is left once deleted.
#include "grace/ledger/redaction.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "grace/ledger/log_proofs.h"
#include "json_fields.h"
#include "log_fixture.h"
#include "value_file.h"

namespace grace::ledger {
namespace {

constexpr std::string_view kSecret = "ada.lovelace@example.org";

class RedactionTest : public LogTest {
 protected:
  void open_with(std::vector<std::string> fields) {
    RedactionConfig config;
    config.fields = std::move(fields);
    config.file_system = file_system_;
    config.wall_clock_ns = [] { return now_ns; };
    auto redactor = Redactor::create(std::move(config));
    ASSERT_TRUE(redactor.has_value()) << redactor.error().message;
    redactor_ = std::move(*redactor);
    config_.record_trees = true;
    config_.before_sync = [this] { redactor_->sync(); };
    open();
    const auto opened = redactor_->open_store(config_.directory);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
  }
  void TearDown() override {
    producer_ = Producer();
    writer_.reset();
    redactor_.reset();
    LogTest::TearDown();
  }
  void log(const std::string& record) {
    std::string out;
    const auto redacted = redactor_->redact(record, out);
    ASSERT_TRUE(redacted.has_value()) << redacted.error().message;
    append(*redacted, RecordType::kJson);
  }
  static std::string user(std::string_view email, int number = 1) {
    return R"({"ts":1,"actor":"a","payload":{"user":{"email":")" + std::string(email) +
           R"(","n":)" + std::to_string(number) + R"(},"size":3}})";
  }
  [[nodiscard]] Commitment commitment(std::size_t record) const {
    const auto found = commitments_in(read_all().texts.at(record));
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? Commitment{} : found.front();
  }
  [[nodiscard]] std::optional<StoredValue> stored(const Commitment& wanted) const {
    auto found = StoredValues(config_.directory).find(wanted);
    EXPECT_TRUE(found.has_value()) << (found ? "" : found.error().message);
    return found.value_or(std::nullopt);
  }
  // Every file below the log's directory that holds these bytes.
  [[nodiscard]] std::vector<std::string> files_with(std::string_view bytes) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(config_.directory)) {
      if (!entry.is_regular_file()) continue;
      const Bytes content = load(entry.path().string());
      const std::string_view text(content.data(), content.size());
      if (text.find(bytes) != text.npos) found.push_back(entry.path().filename().string());
    }
    return found;
  }
  [[nodiscard]] std::string values_file(std::uint64_t first_id = 1) const {
    std::string digits = std::to_string(first_id);
    return config_.directory + "/redacted/" + std::string(12 - digits.size(), '0') + digits +
           ".values";
  }

  static inline std::int64_t now_ns = 1000;
  FileSystem* file_system_ = nullptr;
  std::unique_ptr<Redactor> redactor_;
};

std::string marked(std::string_view object, const std::vector<std::string>& paths) {
  std::string out;
  internal::replace_fields(
      object, paths,
      [](std::string_view path, std::string_view value, std::string& text) {
        text.append("<").append(path).append("=").append(value).append(">");
      },
      out);
  return out;
}

TEST(FieldPaths, ReachWhatTheyName) {
  EXPECT_EQ(marked(R"({"a":1,"b":{"c":"x","d":2}})", {"b.c"}),
            R"({"a":1,"b":{"c":<b.c="x">,"d":2}})");
  EXPECT_EQ(marked(R"({"a":{"b":1}})", {"a"}), R"({"a":<a={"b":1}>})");
  EXPECT_EQ(marked(R"({"a":1})", {"b", "a.b"}), R"({"a":1})");
  EXPECT_EQ(marked(R"({ "a" : [ 1 , 2 ] , "b":{} })", {"b", "a"}),
            R"({ "a" : <a=[ 1 , 2 ]> , "b":<b={}> })");
}

// Each of these would be a way around the configuration.
TEST(FieldPaths, AreNotFooledBySpelling) {
  EXPECT_EQ(marked(R"({"a":1,"a":2})", {"a"}), R"({"a":<a=1>,"a":<a=2>})") << "twice";
  EXPECT_EQ(marked(R"({"\u0061":1})", {"a"}), R"({"\u0061":<a=1>})") << "escaped";
  EXPECT_EQ(marked(R"({"a.b":1,"a":{"b":2}})", {"a.b"}), R"({"a.b":<a.b=1>,"a":{"b":<a.b=2>}})");
  EXPECT_EQ(marked(R"({"a":[{"b":1},[{"b":2}],3]})", {"a.b"}),
            R"({"a":[{"b":<a.b=1>},[{"b":<a.b=2>}],3]})")
      << "in arrays";
  EXPECT_EQ(marked(R"({"x":"\"a\":1","a":"]}\\"})", {"a"}), R"({"x":"\"a\":1","a":<a="]}\\">})");
  EXPECT_EQ(marked(R"({"b":{"a":1},"a":2})", {"a"}), R"({"b":{"a":1},"a":<a=2>})") << "elsewhere";
  EXPECT_EQ(marked("{\"\\ud83d\\ude00\":1}", {"\xf0\x9f\x98\x80"}),
            "{\"\\ud83d\\ude00\":<\xf0\x9f\x98\x80=1>}");
}

TEST(FieldPaths, ThatWouldLoseTheRecordAreRefused) {
  for (const char* path : {"", ".a", "a.", "a..b", "ts", "action", "subsystem.x", "result"}) {
    const auto created = Redactor::create({.fields = {path}});
    ASSERT_FALSE(created.has_value()) << path;
    EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(created.error().message.find("'" + std::string(path) + "'"), std::string::npos);
  }
  EXPECT_TRUE(Redactor::create({.fields = {"actor", "payload.user.email"}}).has_value());
}

TEST_F(RedactionTest, KeepsTheValueOutOfTheLogAndBesideIt) {
  open_with({"payload.user.email"});
  log(user(kSecret));
  close();
  EXPECT_EQ(files_with(kSecret), std::vector<std::string>{"000000000001.values"});
  const std::string text = read_all().texts.at(0);
  EXPECT_TRUE(
      text.starts_with(R"({"ts":1,"actor":"a","payload":{"user":{"email":{"$commitment":")"));
  EXPECT_TRUE(text.ends_with(R"(","$id":1},"n":1},"size":3}})"));
  const auto value = stored(commitment(0));
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->value, '"' + std::string(kSecret) + '"');
  EXPECT_EQ(value->path, "payload.user.email");
  EXPECT_EQ(value->commitment, commitment_of(value->salt, value->value));
  EXPECT_EQ(StoredValues(config_.directory).restore(text).value(), user(kSecret));
  struct stat info {};
  ASSERT_EQ(::stat(values_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat((config_.directory + "/redacted").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(RedactionTest, SaltsEqualValuesApart) {
  open_with({"payload.user.email"});
  log(user(kSecret));
  log(user(kSecret));
  close();
  EXPECT_NE(commitment(0).hash, commitment(1).hash);
  EXPECT_NE(stored(commitment(0))->salt, stored(commitment(1))->salt);
}

// Somebody who tries every value there is finds the right one by its commitment only with the salt.
TEST_F(RedactionTest, DeletedValuesAreGoneAndTheLogAndItsProofsHold) {
  auto signer = NoteSigner::generate("log.example");
  ASSERT_TRUE(signer.has_value());
  config_.checkpoint.signer = &*signer;
  open_with({"payload.user.email"});
  log(user(kSecret));
  log(user("other@example.org", 2));
  close();
  const Commitment first = commitment(0);
  const Salt salt = stored(first)->salt;
  const std::string salt_bytes(reinterpret_cast<const char*>(salt.data()), salt.size());
  ASSERT_EQ(files_with(salt_bytes).size(), 1U);
  const std::string note = [this] {
    const Bytes bytes = load(config_.directory + "/checkpoint");
    return std::string(bytes.begin(), bytes.end());
  }();
  const std::vector<NoteVerifier> keys{signer->verifier()};
  const auto proof = prove_record(config_.directory, 1, note, keys);
  ASSERT_TRUE(proof.has_value()) << proof.error().message;
  // The old file, by a name of its own: it must have been overwritten, not only let go.
  const std::string old_file = (directory_ / "old").string();
  std::filesystem::create_hard_link(values_file(), old_file);

  now_ns = 5000;
  const auto report = delete_values(config_.directory, {.commitments = {first}}, nullptr, now_ns);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->deleted, 1U);
  EXPECT_EQ(report->missing, 0U);
  EXPECT_TRUE(files_with(kSecret).empty());
  EXPECT_TRUE(files_with(salt_bytes).empty());
  EXPECT_EQ(used_bytes(load(old_file)), 0U);
  const auto gone = stored(first);
  ASSERT_TRUE(gone.has_value());
  EXPECT_EQ(gone->deleted_ns, now_ns);
  EXPECT_EQ(gone->salt, Salt{});
  EXPECT_EQ(gone->value, "");
  EXPECT_NE(commitment_of(Salt{}, '"' + std::string(kSecret) + '"'), first.hash);
  EXPECT_EQ(stored(commitment(1))->value, "\"other@example.org\"") << "the other is still there";

  EXPECT_TRUE(this->report().ok);
  EXPECT_TRUE(check_record_proof(*proof, keys).has_value());
  EXPECT_EQ(prove_record(config_.directory, 1, note, keys)->to_text().value(),
            proof->to_text().value());
  const auto again = delete_values(config_.directory, {.commitments = {first}});
  EXPECT_EQ(again->deleted, 0U);
  EXPECT_EQ(again->deleted_before, 1U);
}

TEST_F(RedactionTest, DeletesByTimeBesideALiveWriter) {
  open_with({"payload.user.email"});
  now_ns = 1000;
  log(user("one@example.org"));
  now_ns = 2000;
  log(user("two@example.org"));
  const auto report = delete_values(config_.directory, {.before_ns = 2000}, nullptr, 3000);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->deleted, 1U);
  now_ns = 4000;
  log(user("three@example.org"));
  close();
  EXPECT_TRUE(files_with("one@example").empty());
  EXPECT_EQ(stored(commitment(0))->deleted_ns, 3000);
  EXPECT_EQ(stored(commitment(1))->value, "\"two@example.org\"");
  EXPECT_EQ(stored(commitment(2))->value, "\"three@example.org\"");
  EXPECT_TRUE(redactor_->health().has_value());
}

TEST_F(RedactionTest, GoesOnInTheNextProcess) {
  for (int round = 0; round < 3; ++round) {
    open_with({"payload.user.email"});
    log(user("user" + std::to_string(round)));
    close();
  }
  for (std::size_t round = 0; round < 3; ++round) {
    EXPECT_EQ(commitment(round).id, round + 1);
    EXPECT_EQ(stored(commitment(round))->value, "\"user" + std::to_string(round) + "\"");
  }
}

// The place is another record's or another store's: the hash tells.
TEST_F(RedactionTest, OpensNoCommitmentWithAnotherValue) {
  open_with({"payload.user.email"});
  log(user("one"));
  log(user("two"));
  close();
  Commitment swapped = commitment(0);
  swapped.id = commitment(1).id;
  EXPECT_FALSE(stored(swapped).has_value());
  for (const std::uint64_t id : {std::uint64_t{0}, std::uint64_t{3}, ~std::uint64_t{0}}) {
    swapped.id = id;
    EXPECT_FALSE(stored(swapped).has_value());
  }
  const auto report = delete_values(config_.directory, {.commitments = {swapped}});
  EXPECT_EQ(report->missing, 1U);
  EXPECT_EQ(report->deleted, 0U);
}

TEST_F(RedactionTest, IsInFrontOfSubsystemLoggers) {
  open_with({"actor", "payload.text"});
  ProducerAppender appender(*writer_->producer());
  RedactingAppender redacting(*redactor_, appender);
  SubsystemRegistry registry(redacting, [] { return std::int64_t{7}; });
  SubsystemLogger& logger = *registry.get_subsystem_logger("s");
  EXPECT_EQ(logger.log_action({kSecret, "login", "api", "success", "no JSON: my password"}),
            AppendStatus::kOk);
  flush();
  const std::string text = read_all().texts.at(0);
  EXPECT_EQ(commitments_in(text).size(), 2U);
  EXPECT_EQ(text.find("password"), std::string::npos);
  EXPECT_EQ(redacting.append(RecordType::kJson, "{\"actor\":"), AppendStatus::kFailed)
      << "rather no record than one that could not be looked through";
  appender.producer() = Producer();
}

// A value that is torn or damaged is lost, and named so; what lies before it is not.
TEST_F(RedactionTest, EveryCutOfTheStoreLosesNoMoreThanTheCutValues) {
  open_with({"payload.user.email"});
  log(user("first@example.org"));
  log(user("second@example.org"));
  close();
  const Bytes whole = load(values_file());
  const Commitment first = commitment(0);
  const Commitment second = commitment(1);
  std::size_t first_kept_from = whole.size();
  for (std::size_t size = whole.size(); size-- > 0;) {
    store(values_file(), Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_FALSE(stored(second).has_value()) << size;
    const auto value = stored(first);
    if (value) first_kept_from = size;
    if (value) {
      EXPECT_EQ(value->value, "\"first@example.org\"") << size;
    }
  }
  EXPECT_LT(first_kept_from, whole.size() - 112) << "cut behind it, the first is there";
  store(values_file(), Bytes(whole.begin(), whole.end() - 1));
  open_with({"payload.user.email"});
  log(user("third@example.org"));
  close();
  EXPECT_EQ(stored(commitment(2))->value, "\"third@example.org\"");
  EXPECT_EQ(StoredValues(config_.directory).restore(read_all().texts.at(1)).value(),
            read_all().texts.at(1));
}

TEST_F(RedactionTest, NoFlippedBitOfTheStoreIsBelieved) {
  open_with({"payload.user.email"});
  log(user("first@example.org"));
  close();
  const Bytes whole = load(values_file());
  const Commitment first = commitment(0);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    store(values_file(), flipped);
    EXPECT_FALSE(stored(first).has_value()) << "bit " << bit;
  }
}

TEST_F(RedactionTest, DeletionWipesADamagedRest) {
  open_with({"payload.user.email"});
  log(user("first@example.org"));
  log(user(kSecret));
  close();
  const Commitment second = commitment(1);
  Bytes damaged = load(values_file());
  damaged[damaged.size() - 1] = 'x';  // padding of the second entry
  store(values_file(), damaged);
  const auto report = delete_values(config_.directory, {.commitments = {second}});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->missing, 1U);
  EXPECT_GT(report->wiped_bytes, kSecret.size());
  EXPECT_TRUE(files_with(kSecret).empty());
  EXPECT_TRUE(stored(commitment(0)).has_value());
}

// Fails the nth call that changes a file; counts them.
class NthCallFails final : public FileSystem {
 public:
  explicit NthCallFails(std::uint64_t nth) : nth_(nth) {}
  int open(const std::string& path, int flags, unsigned mode) override {
    return fails() ? -EIO : FileSystem::open(path, flags, mode);
  }
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t at) override {
    return fails() ? -ENOSPC : FileSystem::write_at(fd, bytes, at);
  }
  int sync_file(int fd) override { return fails() ? -EIO : FileSystem::sync_file(fd); }
  int sync_directory(const std::string& path) override {
    return fails() ? -EIO : FileSystem::sync_directory(path);
  }
  int rename(const std::string& from, const std::string& to) override {
    return fails() ? -EIO : FileSystem::rename(from, to);
  }
  int remove(const std::string& path) override { return fails() ? -EIO : FileSystem::remove(path); }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  void fail_after(std::uint64_t more) { nth_ = calls_ + more; }

 private:
  bool fails() { return ++calls_ == nth_; }
  std::uint64_t nth_;
  std::uint64_t calls_ = 0;
};

// Whatever call of a deletion fails: kept values are kept, and the next try ends it.
TEST_F(RedactionTest, DeletionThatFailsAnywhereIsFinishedByTheNext) {
  open_with({"payload.user.email"});
  log(user(kSecret));
  log(user("other@example.org"));
  close();
  const Commitment first = commitment(0);
  const Commitment second = commitment(1);
  const std::string copy = (directory_ / "copy").string();
  std::filesystem::copy(config_.directory, copy, std::filesystem::copy_options::recursive);
  std::uint64_t failed = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    std::filesystem::remove_all(config_.directory);
    std::filesystem::copy(copy, config_.directory, std::filesystem::copy_options::recursive);
    NthCallFails faulty(nth);
    const auto report = delete_values(config_.directory, {.commitments = {first}}, &faulty);
    if (faulty.calls() < nth) break;
    ++failed;
    EXPECT_FALSE(report.has_value()) << nth;
    EXPECT_EQ(stored(second)->value, "\"other@example.org\"") << nth;
    const auto again = delete_values(config_.directory, {.commitments = {first}});
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->deleted + again->deleted_before, 1U) << nth;
    EXPECT_TRUE(files_with(kSecret).empty()) << nth;
    EXPECT_EQ(stored(second)->value, "\"other@example.org\"") << nth;
  }
  EXPECT_GE(failed, 8U);
}

// The record is never lost for its value's sake.
TEST_F(RedactionTest, WhatTheStoreCannotTakeIsLostAndCountedAndTheRecordKept) {
  for (std::uint64_t nth = 1; nth <= 3; ++nth) {  // create, header, directory
    NthCallFails faulty(0);
    file_system_ = &faulty;
    open_with({"payload.user.email"});
    faulty.fail_after(nth);
    log(user(kSecret));
    log(user("other" + std::to_string(nth)));
    flush();
    EXPECT_EQ(redactor_->stats().lost_values, 1U) << nth;
    ASSERT_FALSE(redactor_->health().has_value()) << nth;
    close();
    redactor_.reset();
    const std::size_t records = read_all().texts.size();
    EXPECT_EQ(records, 2 * nth);
    EXPECT_EQ(commitment(records - 2).id, 0U);
    EXPECT_TRUE(stored(commitment(records - 1)).has_value());
    EXPECT_TRUE(files_with(kSecret).empty());
  }
}

// What wait_durable() has promised can be opened after a power failure: the store was synced first.
TEST_F(RedactionTest, SyncsTheStoreBeforeTheRecordCounts) {
  struct Order final : FileSystem {
    int sync_file(int fd) override {
      const int done = FileSystem::sync_file(fd);
      if (writer != nullptr && writer->durable_sequence() == 0) before = true;
      return done;
    }
    const Writer* writer = nullptr;
    std::atomic<bool> before{false};
  } order;
  file_system_ = &order;
  open_with({"payload.user.email"});
  order.writer = writer_.get();
  log(user(kSecret));
  flush();
  EXPECT_GE(writer_->durable_sequence(), 1U);
  // Relaxed: flush() has waited for the syncer.
  EXPECT_TRUE(order.before.load(std::memory_order_relaxed));
  order.writer = nullptr;
  close();
  redactor_.reset();  // closes its file through `order`
}

TEST_F(RedactionTest, RefusesARecordThatItCannotLookThrough) {
  open_with({"actor"});
  std::string out;
  for (const std::string& record :
       {std::string("{\"actor\":1"), std::string("[]"), std::string(70, '{'), std::string()}) {
    const auto redacted = redactor_->redact(record, out);
    ASSERT_FALSE(redacted.has_value());
    EXPECT_EQ(redacted.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(StoredValueFile, ComesBackAsItWent) {
  std::vector<StoredValue> values(3);
  values[0] = {.id = 5, .path = "a", .time_ns = 1, .value = "\"x\""};
  values[0].commitment[3] = 7;
  values[0].salt[31] = 9;
  values[1] = {.id = 6, .path = "a.b", .time_ns = 2, .deleted_ns = 3};
  values[2] = {.id = 9, .time_ns = -1, .value = std::string(5000, '1')};
  std::string bytes;
  internal::append_value_file_header(5, bytes);
  for (const StoredValue& value : values) internal::append_value(value, bytes);
  const auto parsed = internal::parse_value_file(std::as_bytes(std::span(bytes)));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->first_id, 5U);
  EXPECT_EQ(parsed->values, values);
  EXPECT_EQ(parsed->damaged_bytes, 0U);
}

}  // namespace
}  // namespace grace::ledger
