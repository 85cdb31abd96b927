// Damages a small log as the input says, and opens it for writing. Recovery may refuse, and then
// has changed nothing. Or it opens: then nothing that could be read before is gone, nothing that a
// header of the log promises is gone unless verify() says so, and verify() finds nothing that it
// did not find before.
//
// An input is the choice of a log, then commands of eight bytes: what, segment, place and size in
// units, value. Those that mend a CRC get changed headers past the first check.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "block.h"
#include "grace/ledger/crc32c.h"
#include "grace/ledger/reader.h"
#include "grace/ledger/writer.h"

namespace {

using namespace grace::ledger;
using internal::LogId;
namespace fs = std::filesystem;

using Bytes = std::vector<char>;
using Files = std::map<std::string, Bytes>;  // by name: a directory's segments and quarantine
using Segments = std::vector<Bytes>;         // by number, from 1; empty: there is no such file
using Records = std::map<std::uint64_t, std::string>;  // payloads by sequence

constexpr std::size_t kSegmentsMax = 6;
constexpr std::size_t kCommandsMax = 12;
constexpr std::size_t kPage = kSegmentHeaderBytes;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "recovery broke its word: %s\n", what);
  std::abort();
}

// In memory where that is possible; gone with the process, unless that aborts.
struct Folder {
  Folder() : path(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") {
    path += "/ledger_recovery_fuzzer_" + std::to_string(::getpid());
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path;
};

const std::string& folder() {
  static const Folder instance;
  return instance.path;
}

LogConfig config_of(const std::string& directory, Integrity integrity) {
  LogConfig config;
  config.directory = directory;
  config.integrity = integrity;
  config.segment_bytes = 24 << 10;
  config.block_bytes = 4 << 10;
  config.record_bytes_max = 6 << 10;
  config.ring_bytes = 16 << 10;
  config.commit_interval = std::chrono::seconds(10);  // blocks close when they are flushed
  config.idle_wait_max = std::chrono::microseconds(100);
  config.producers_max = 1;
  config.wall_clock_ns = [] { return std::int64_t{1736950000000000000}; };
  return config;
}

Bytes load(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string name_of(std::size_t number) {
  const std::string digits = std::to_string(number);
  return std::string(12 - digits.size(), '0') + digits + ".segment";
}

Files files_in(const std::string& directory) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    files[fs::relative(entry.path(), directory).string()] = load(entry.path());
  }
  return files;
}

Records records_in(const std::string& directory) {
  Records records;
  auto reader = Reader::open(directory);
  if (!reader) return records;
  RecordView record;
  while (reader->next(record) == ReadStatus::kRecord) records[record.sequence] = record.text();
  return records;
}

// What damage starts from.
struct Original {
  Integrity integrity = Integrity::kSha256;
  Segments segments;
};

void append(Writer& writer, int count, std::size_t bytes) {
  auto producer = writer.producer();
  require(producer.has_value(), "a producer");
  for (int index = 0; index < count; ++index) {
    const std::string text(bytes + static_cast<std::size_t>(index), static_cast<char>('a' + index));
    require(producer->append_or_wait(RecordType::kNote, as_bytes(text)) == AppendStatus::kOk,
            "an append");
    if (index % 2 == 1) require(writer.flush().has_value(), "a flush");
  }
}

// Closed, or as a killed writer leaves it: a copy of its files while it lives.
Original make_log(Integrity integrity, bool closed, std::size_t bytes) {
  const std::string directory = folder() + "/original";
  fs::remove_all(directory);
  auto writer = Writer::open(config_of(directory, integrity));
  require(writer.has_value(), "an empty directory is opened");
  append(**writer, 16, bytes);
  Original original{integrity, {}};
  if (closed) require((*writer)->close().has_value(), "a close");
  for (std::size_t number = 1; number <= 4; ++number) {
    original.segments.push_back(load(directory + "/" + name_of(number)));
  }
  return original;
}

const std::vector<Original>& originals() {
  static const std::vector<Original> logs = {
      make_log(Integrity::kSha256, true, 40), make_log(Integrity::kSha256, false, 40),
      make_log(Integrity::kCrc32c, false, 40), make_log(Integrity::kSha256, false, 3000)};
  return logs;
}

// --- damage ---

LogId log_id_of(const Bytes& segment) {
  LogId id{};
  if (segment.size() >= 32) std::memcpy(id.data(), segment.data() + 16, id.size());
  return id;
}

void mend_segment_header(Bytes& segment, std::size_t at) {
  if (segment.size() < at + kPage) return;
  std::memset(segment.data() + at + 8, 0, 4);
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(segment).subspan(at, kPage)));
  std::memcpy(segment.data() + at + 8, &crc, sizeof(crc));
}

void mend_block_header(Bytes& segment, std::size_t at) {
  if (segment.size() < at + sizeof(BlockHeader)) return;
  BlockHeader header;
  std::memcpy(&header, segment.data() + at, sizeof(header));
  header.magic = kBlockMagic;
  header.header_crc = internal::block_header_crc(header, log_id_of(segment));
  std::memcpy(segment.data() + at, &header, sizeof(header));
}

struct Command {
  std::uint8_t what = 0;
  std::uint8_t segment = 0;
  std::uint16_t place = 0;
  std::uint8_t size = 0;
  std::uint8_t unit = 0;
  std::uint16_t value = 0;
};

class Damage {
 public:
  explicit Damage(Segments segments) : segments_(std::move(segments)) {
    segments_.resize(kSegmentsMax);
  }
  [[nodiscard]] const Segments& segments() const { return segments_; }

  void apply(const Command& command) {
    constexpr std::size_t kUnits[] = {1, 8, 512, kPage};
    Bytes& segment = segments_[command.segment % kSegmentsMax];
    Bytes& other = segments_[command.value % kSegmentsMax];
    const std::size_t unit = kUnits[command.unit % 4];
    const std::size_t at = std::min(command.place * unit % (64 << 10), segment.size());
    const std::size_t size = std::min((command.size + 1) * unit, segment.size() - at);
    const std::size_t page = at - at % kPage;
    switch (command.what % 11) {
      case 0:
        write(segment, at, command.value, std::min<std::size_t>(size, 2));
        break;
      case 1:
        segment.resize(at);
        break;
      case 2:
        std::fill_n(segment.begin() + static_cast<std::ptrdiff_t>(at), size, '\0');
        break;
      case 3:
        std::swap(segment, other);
        break;
      case 4:
        segment.clear();
        break;
      case 5:
        other = Bytes(segment);
        break;
      case 6:
        append_to(segment, size, command.value);
        break;
      case 7:
        copy_pages(segment, page, other, command.size);
        break;
      case 8:
        flip(segment, at, command.value);
        break;
      case 9:
        change_header(segment, page, command);
        break;
      default:
        segment.resize(segment.size() + std::min<std::size_t>(unit * 2, kPage));
        break;
    }
  }

 private:
  static void write(Bytes& segment, std::size_t at, std::uint16_t value, std::size_t size) {
    if (size > 0) std::memcpy(segment.data() + at, &value, size);
  }
  static void flip(Bytes& segment, std::size_t at, std::uint16_t value) {
    if (at < segment.size()) segment[at] = static_cast<char>(segment[at] ^ (1 << value % 8));
  }
  static void append_to(Bytes& segment, std::size_t size, std::uint16_t value) {
    if (segment.size() < (256 << 10)) {
      segment.insert(segment.end(), size, static_cast<char>(value));
    }
  }
  static void copy_pages(Bytes& segment, std::size_t page, const Bytes& other, std::uint8_t from) {
    const std::size_t begin = from * kPage;
    if (other.size() < begin + kPage || segment.size() < page + kPage) return;
    const Bytes copied(other.begin() + static_cast<std::ptrdiff_t>(begin),
                       other.begin() + static_cast<std::ptrdiff_t>(begin + kPage));
    std::copy(copied.begin(), copied.end(), segment.begin() + static_cast<std::ptrdiff_t>(page));
  }
  // A field of a header set to a small number, with the header's CRC made right; of a segment's
  // header in one copy or both.
  static void change_header(Bytes& segment, std::size_t page, const Command& command) {
    const std::size_t field = command.size % sizeof(BlockHeader) / 4 * 4;
    if (page >= kFirstBlockOffset) {
      if (segment.size() < page + sizeof(BlockHeader)) return;
      write(segment, page + field, command.value, 2);
      mend_block_header(segment, page);
      return;
    }
    for (std::size_t copy = 0; copy < kFirstBlockOffset; copy += kPage) {
      if (segment.size() < copy + kPage || (command.unit % 8 < 4 && copy != page)) continue;
      write(segment, copy + field, command.value, 2);
      mend_segment_header(segment, copy);
    }
  }

  Segments segments_;
};

// --- what must hold ---

// The highest promise in a header that is intact, wherever in the files it is.
std::uint64_t promise_in(const Segments& segments, const std::string& log_id_hex) {
  std::uint64_t promise = 0;
  for (const Bytes& segment : segments) {
    for (std::size_t at = 0; at + sizeof(BlockHeader) <= segment.size(); at += kPage) {
      for (const Bytes& named : segments) {
        const LogId id = log_id_of(named);
        BlockHeader header;
        std::memcpy(&header, segment.data() + at, sizeof(header));
        if (header.magic == kBlockMagic && to_hex(id) == log_id_hex &&
            header.header_crc == internal::block_header_crc(header, id)) {
          promise = std::max(promise, header.promised_sequence);
        }
      }
    }
  }
  return promise;
}

void check_opened(const VerifyReport& before, const Records& readable, const Segments& segments,
                  const std::string& directory) {
  const auto after = verify(directory);
  require(after.has_value(), "an opened log can be verified");
  require(before.fault_count > 0 || after->ok, "a log without faults stays so");
  if (!after->ok) return;  // what lies before the last promise is for verify() to find, and it does
  require(
      before.fault_count == 0 || before.first_fault->reason.ends_with("(the other copy is intact)"),
      "recovery mends a copy of a header, and no other fault");
  const Records kept = records_in(directory);
  for (const auto& [sequence, payload] : readable) {
    const auto found = kept.find(sequence);
    require(found != kept.end() && found->second == payload, "what could be read is there");
  }
  require(!kept.empty() && kept.rbegin()->second == "appended", "what was appended is there");
  const std::uint64_t promise = promise_in(segments, after->log_id_hex);
  require(promise < kept.rbegin()->first, "what was promised is there");
  for (std::uint64_t sequence = after->first_sequence; sequence <= promise; ++sequence) {
    require(kept.contains(sequence) && readable.contains(sequence), "no promised record is new");
  }
}

void check(const Original& original, const Segments& segments) {
  const std::string directory = folder() + "/log";
  fs::remove_all(directory);
  fs::create_directories(directory);
  bool any = false;
  for (std::size_t index = 0; index < segments.size(); ++index) {
    if (segments[index].empty()) continue;
    any = true;
    std::ofstream(directory + "/" + name_of(index + 1), std::ios::binary)
        .write(segments[index].data(), static_cast<std::streamsize>(segments[index].size()));
  }
  const auto before = verify(directory);
  require(before.has_value() == any, "a directory holds a log if it holds a segment");
  const Records readable = records_in(directory);
  const Files files = files_in(directory);
  auto writer = Writer::open(config_of(directory, original.integrity));
  if (!writer) {
    require(before && before->fault_count > 0, "only a log with a fault is refused");
    require(files_in(directory) == files, "what is refused is not changed");
    return;
  }
  auto producer = (*writer)->producer();
  require(producer.has_value(), "a producer");
  const std::string text = "appended";
  require(producer->append_or_wait(RecordType::kNote, as_bytes(text)) == AppendStatus::kOk,
          "an append");
  *producer = Producer();
  require((*writer)->close().has_value(), "a close");
  check_opened(before ? *before : VerifyReport{}, readable, segments, directory);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Original& original = originals()[data[0] % originals().size()];
  Damage damage(original.segments);
  Command command;
  static_assert(sizeof(command) == 8);
  std::size_t at = 1;
  for (std::size_t count = 0; count < kCommandsMax && at + sizeof(command) <= size; ++count) {
    std::memcpy(&command, data + at, sizeof(command));
    at += sizeof(command);
    damage.apply(command);
  }
  check(original, damage.segments());
  return 0;
}
