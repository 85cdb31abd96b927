#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/error.h"
#include "grace/ledger/file_system.h"
#include "grace/ledger/sha256.h"
#include "grace/ledger/subsystem_logger.h"

// Values that are not to stand in the log: docs/ledger_format.md, section 19. Before a JSON record
// is appended, each named value is replaced by a commitment,
//
//   {"$commitment":"<64 hexadecimal digits>","$id":<number>}
//
// which is SHA-256("grace ledger commitment" || salt || value), the value without blanks outside
// strings, the salt 32 random bytes of its own. Salt and value are kept beside the log, in
// `<log>/redacted/`. Who holds them can show what was committed to; once they are deleted, nobody
// can find the value by guessing, and the log and its proofs are as good as before.
namespace grace::ledger {

using Salt = std::array<std::uint8_t, 32>;

// `value`: as above, without blanks outside its strings.
[[nodiscard]] Hash commitment_of(const Salt& salt, std::string_view value);

// A field path is names with dots between them, such as "actor" or "payload.user.email". Refuses an
// empty name, and the fields that a record is found by: ts, action, subsystem, result. Of a path it
// names the fault: kInvalidArgument.
[[nodiscard]] Result<void> check_field_path(std::string_view path);

struct StoredValue {
  std::uint64_t id = 0;
  std::string path = {};        // as configured
  std::int64_t time_ns = 0;     // when it was replaced, wall clock
  std::int64_t deleted_ns = 0;  // 0: salt and value are there
  Hash commitment{};
  Salt salt{};             // zeros once deleted
  std::string value = {};  // JSON; empty once deleted

  friend bool operator==(const StoredValue&, const StoredValue&) = default;
};

struct RedactionConfig {
  std::vector<std::string> fields = {};
  FileSystem* file_system = nullptr;          // borrowed; null: the real one
  std::int64_t (*wall_clock_ns)() = nullptr;  // null: the system's clock
};

// Replaces values on their way into one log. Threads: any; a mutex inside, and in open_store() to
// sync() the store's lock, for which it waits while values are deleted (a few milliseconds a file
// of 4 MiB). Memory: the largest record.
//
// The order of effects: a value is written to its store before its record may be appended, and
// LogConfig::before_sync = [&] { redactor.sync(); } makes it durable before the record counts as
// D2. So what is D2 can be opened, as long as health() is well; a value that the store cannot take
// is lost, never the record: its commitment says "$id":0 and stats() counts it.
class Redactor {
 public:
  struct Stats {
    std::uint64_t values = 0;       // replaced
    std::uint64_t lost_values = 0;  // of these, not kept, since the store failed
  };

  // kInvalidArgument names the path at fault.
  [[nodiscard]] static Result<std::unique_ptr<Redactor>> create(RedactionConfig config);
  ~Redactor();

  // To be called once, when the log's writer is open and so holds the directory. Finishes a
  // deletion that was interrupted. Until then values are lost, as above.
  [[nodiscard]] Result<void> open_store(const std::string& log_directory);

  // The record to append: `record` itself, or `out` where something was replaced. kInvalidArgument
  // where it is no JSON object, kIo where the system has no random numbers: do not append it then.
  [[nodiscard]] Result<std::string_view> redact(std::string_view record, std::string& out);
  // Makes durable what redact() has stored so far. What fails is in health().
  void sync();

  [[nodiscard]] Result<void> health() const;  // the first failure of the store
  [[nodiscard]] Stats stats() const;

 private:
  struct State;
  explicit Redactor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Puts a redactor before another appender: JSON records pass through it. kFailed where the redactor
// refuses a record. One thread at a time.
class RedactingAppender final : public RecordAppender {
 public:
  // Both are borrowed.
  RedactingAppender(Redactor& redactor, RecordAppender& next) : redactor_(redactor), next_(next) {}
  [[nodiscard]] AppendStatus append(RecordType type, std::string_view payload) override;

 private:
  Redactor& redactor_;
  RecordAppender& next_;
  std::string redacted_;
};

// --- opening ---

struct Commitment {
  Hash hash{};
  std::uint64_t id = 0;
  std::size_t offset = 0;      // where its object lies in the record
  std::size_t size_bytes = 0;  // and how long it is

  friend bool operator==(const Commitment&, const Commitment&) = default;
};
// All commitments in a JSON record, in order. Safe on any bytes.
[[nodiscard]] std::vector<Commitment> commitments_in(std::string_view record);

// The values kept beside a log. Reads beside a live writer. Memory: one file, 36 MiB at most. One
// thread at a time.
class StoredValues {
 public:
  explicit StoredValues(const std::string& log_directory);
  ~StoredValues();
  // Nothing where the store does not hold that commitment, or holds it damaged. Of a deleted value
  // the entry without value and salt. A value that is there has been checked against its
  // commitment.
  [[nodiscard]] Result<std::optional<StoredValue>> find(const Commitment& commitment);
  // The record with all values that are there in their places.
  [[nodiscard]] Result<std::string> restore(std::string_view record);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --- deleting ---

struct Deletion {
  std::vector<Commitment> commitments = {};    // these values
  std::optional<std::int64_t> before_ns = {};  // and all that were replaced before this time
};
struct DeletionReport {
  std::uint64_t deleted = 0;
  std::uint64_t deleted_before = 0;  // asked for, and gone already
  std::uint64_t missing = 0;         // asked for by commitment, and nowhere to be found
  std::uint64_t wiped_bytes = 0;     // damaged rests of the files that were rewritten
};
// Deletes salts and values: each file that holds one is written anew without them, the old one is
// overwritten with zeros and synced, and only then replaced. Beside a live writer too. Interrupted,
// it is finished by the next call or by the next open_store(). After an error nothing more was
// deleted than what the error's file and those before it held.
//
// What it cannot reach: copies that the disk's controller, a file system with journalled data or
// copy-on-write, a snapshot or a backup has kept. There only encryption of the disk helps.
[[nodiscard]] Result<DeletionReport> delete_values(const std::string& log_directory,
                                                   const Deletion& deletion,
                                                   FileSystem* file_system = nullptr,
                                                   std::int64_t now_ns = 0);

}  // namespace grace::ledger
