#include "grace/parse/chunk_parser.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "event_builder.h"
#include "flat_line.h"
#include "grace/core/assert.h"
#include "line_shapes.h"
#include "line_walker.h"
#include "packed_reader.h"
#include "structural_index.h"
#include "text_scan.h"

namespace grace::parse {
namespace {

// Text that is indexed at a time: its tokens stay in the first and second level cache until they
// are walked. Results do not depend on it.
constexpr std::uint32_t kWindowBytes = 32 * 1024;
// A window behind a line that FlatLine left is wider each time, and less so with each line that it
// takes: where it leaves more than every ninth, most lines are indexed.
constexpr std::uint32_t kWiderBytes = 1024;
constexpr std::uint32_t kNarrowerBytes = 128;

}  // namespace

core::Result<ParseConfig> validated(ParseConfig config) {
  const auto wrong = [](const std::string& field, const std::string& rule, auto value) {
    return core::make_error(core::ErrorCode::kConfig, "parse." + field + " must be " + rule +
                                                          ", is " + std::to_string(value));
  };
  if (config.line_bytes_max < 64 || config.line_bytes_max > std::size_t{1} << 30) {
    return wrong("line_bytes_max", "64 to 1073741824", config.line_bytes_max);
  }
  if (config.depth_max < 2 || config.depth_max > 64) {
    return wrong("depth_max", "2 to 64", config.depth_max);
  }
  if (config.name_bytes_max < 1 || config.name_bytes_max > config.line_bytes_max) {
    return wrong("name_bytes_max", "1 to line_bytes_max", config.name_bytes_max);
  }
  if (config.ahead_max.count() < 0) {
    return wrong("ahead_max", "0 ns or more", config.ahead_max.count());
  }
  return config;
}

std::uint64_t ParseCounters::rejected_total() const noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : rejected) total += count;
  return total;
}

void ParseCounters::add(const ParseCounters& other) noexcept {
  lines += other.lines;
  blank += other.blank;
  accepted += other.accepted;
  bytes += other.bytes;
  for (std::size_t i = 0; i < rejected.size(); ++i) rejected[i] += other.rejected[i];
}

// Lines are read one by one, by LineShapes or else by FlatLine. From one that both leave on, the
// chunk is read in a window of whole lines, over which an index is built. A window with a line that
// the index refuses is halved until that line stands alone and is rejected alone; then windows are
// wide again.
class ChunkParser::Impl {
 public:
  explicit Impl(const ParseConfig& config)
      : config_(config),
        line_ends_(kWindowBytes + 1),
        index_(std::max<std::size_t>(config.line_bytes_max, kWindowBytes) + 2),
        walker_(config.depth_max),
        builder_(config),
        labels_(flat_, has_wide_registers()),
        shapes_(config, labels_),
        packed_(config, {flat_, labels_, index_, walker_, builder_}) {
    const auto valid = validated(config);
    GRACE_ASSERT(valid.has_value(), "%s", valid.error().message.c_str());
  }

  void begin(core::Chunk& chunk);
  std::size_t next(std::span<core::Event> out, RejectSink& rejects);
  [[nodiscard]] const ParseCounters& counters() const noexcept { return counters_; }

 private:
  enum class Flat : std::uint8_t { kAccepted, kRejected, kLeft };
  [[nodiscard]] Flat next_flat(core::Event& event, RejectSink& rejects);
  [[nodiscard]] bool next_window(RejectSink& rejects);
  [[nodiscard]] std::uint32_t window_end_for(std::uint32_t bytes_max) const noexcept;
  [[nodiscard]] bool reject_unindexed(RejectSink& rejects);
  void count_lone_line() noexcept;
  [[nodiscard]] bool next_line(core::Event& event, RejectSink& rejects);
  [[nodiscard]] std::uint32_t line_end_from(std::uint32_t begin) const noexcept;
  [[nodiscard]] std::uint32_t trimmed(std::uint32_t begin, std::uint32_t end) const noexcept;
  std::size_t next_packed(std::span<core::Event> out, RejectSink& rejects);
  void reject(RejectReason reason, std::uint32_t begin, std::uint32_t end, RejectSink& rejects);
  void finish_chunk();

  ParseConfig config_;
  // Newlines of the window, from its begin; a window is one line or at most kWindowBytes long.
  std::vector<std::uint32_t> line_ends_;
  std::size_t line_end_count_ = 0;
  std::size_t line_end_next_ = 0;  // that of the line at line_begin_
  FlatLine flat_;
  std::uint32_t window_bytes_ = 1;  // wanted of the next window
  StructuralIndex index_;
  LineWalker walker_;
  EventBuilder<Form::kJson> builder_;
  LabelMemo labels_;
  LineShapes shapes_;
  PackedReader packed_;
  LineFields fields_;
  ParseCounters counters_;
  core::Chunk* chunk_ = nullptr;
  std::uint64_t settled_at_begin_ = 0;  // blank + accepted + rejected when the chunk began
  std::uint64_t chunk_lines_ = 0;
  std::uint32_t window_begin_ = 0;
  std::uint32_t window_end_ = 0;
  std::uint32_t line_begin_ = 0;
  std::uint32_t failed_end_ = 0;  // the index refuses some line before this place
  std::size_t token_ = 0;         // first one of the line at line_begin_
};

void ChunkParser::Impl::begin(core::Chunk& chunk) {
  GRACE_ASSERT(chunk_ == nullptr, "a chunk was begun before the last one was done");
  GRACE_ASSERT(chunk.size_bytes <= chunk.capacity(), "%u", chunk.size_bytes);
  chunk_ = &chunk;
  chunk.scratch_used_bytes = 0;
  builder_.begin_chunk(chunk);
  shapes_.begin_chunk(chunk);
  char* const text = chunk.text();
  const std::uint32_t size = chunk.size_bytes;
  // Readers of numbers stop here, and no old text follows an unfinished last line.
  std::memset(text + size, ' ', core::kChunkPaddingBytes);
  text[size + 1] = '\n';  // and readers of strings here
  line_begin_ = 0;
  // What is left of a line that was counted, and rejected, where it began.
  if (chunk.begins_cut) line_begin_ = std::min(line_end_from(0) + 1, size);
  chunk_lines_ = line_begin_ < size && text[size - 1] != '\n' ? 1 : 0;
  if (chunk.packed) {
    packed_.begin(chunk);
    chunk_lines_ = 0;  // counted as they are read
  }
  counters_.bytes += size;
  settled_at_begin_ = counters_.blank + counters_.accepted + counters_.rejected_total();
  window_begin_ = window_end_ = line_begin_;
  failed_end_ = 0;
  token_ = 0;
}

std::size_t ChunkParser::Impl::next(std::span<core::Event> out, RejectSink& rejects) {
  GRACE_ASSERT(!out.empty(), "no room for an event");
  if (chunk_ == nullptr) return 0;
  if (chunk_->packed) return next_packed(out, rejects);
  std::size_t count = 0;
  while (count < out.size()) {
    if (line_begin_ == window_end_) {
      const Flat flat = next_flat(out[count], rejects);
      if (flat == Flat::kAccepted) ++count;
      if (flat != Flat::kLeft) continue;
      if (!next_window(rejects)) {
        // Events may be waiting in `out`: only a call that has none ends the chunk.
        if (count == 0) finish_chunk();
        break;
      }
    }
    if (next_line(out[count], rejects)) ++count;
  }
  return count;
}

// The line behind the last window or line, where it can be read without an index.
inline ChunkParser::Impl::Flat ChunkParser::Impl::next_flat(core::Event& event,
                                                            RejectSink& rejects) {
  const std::uint32_t begin = window_end_;
  if (begin == chunk_->size_bytes) return Flat::kLeft;
  std::uint32_t newline = shapes_.read(begin, event);
  const bool shaped = newline != 0;
  if (!shaped) {
    newline = flat_.read(chunk_->text(), begin, fields_);
    if (newline == 0 || newline - begin > config_.line_bytes_max) {
      window_bytes_ = std::min(window_bytes_ + kWiderBytes, kWindowBytes);
      return Flat::kLeft;
    }
  }
  window_bytes_ -= std::min(window_bytes_ - 1, kNarrowerBytes);
  ++chunk_lines_;
  line_begin_ = window_begin_ = window_end_ = newline + 1;
  if (!shaped) {
    const auto reason = builder_.build(fields_, {0, begin, newline}, event);
    if (reason) {
      reject(*reason, begin, newline, rejects);
      return Flat::kRejected;
    }
    shapes_.learn(begin, newline);
  }
  ++counters_.accepted;
  return Flat::kAccepted;
}

// Each record has an outcome, as each line has.
std::size_t ChunkParser::Impl::next_packed(std::span<core::Event> out, RejectSink& rejects) {
  std::size_t count = 0;
  while (count < out.size() && !packed_.done()) {
    ++chunk_lines_;
    const auto reason = packed_.next(out[count]);
    if (!reason) [[likely]] {
      ++counters_.accepted;
      ++count;
      continue;
    }
    ++counters_.rejected[static_cast<std::size_t>(*reason)];
    rejects.rejected({*reason, packed_.sequence(), chunk_->source_index, packed_.line()});
  }
  if (count == 0) finish_chunk();
  return count;
}

// Whatever was cut, swapped or refused: each line has had exactly one outcome.
void ChunkParser::Impl::finish_chunk() {
  counters_.lines += chunk_lines_;
  const std::uint64_t settled =
      counters_.blank + counters_.accepted + counters_.rejected_total() - settled_at_begin_;
  GRACE_ASSERT(settled == chunk_lines_, "chunk %llu: %llu lines, %llu outcomes",
               static_cast<unsigned long long>(chunk_->number),
               static_cast<unsigned long long>(chunk_lines_),
               static_cast<unsigned long long>(settled));
  chunk_ = nullptr;
}

// Place of the newline that ends the line, or the chunk's end.
std::uint32_t ChunkParser::Impl::line_end_from(std::uint32_t begin) const noexcept {
  const char* const text = chunk_->text();
  const void* const found = std::memchr(text + begin, '\n', chunk_->size_bytes - begin);
  return found == nullptr ? chunk_->size_bytes
                          : static_cast<std::uint32_t>(static_cast<const char*>(found) - text);
}

// A line's end without its carriage return.
std::uint32_t ChunkParser::Impl::trimmed(std::uint32_t begin, std::uint32_t end) const noexcept {
  return end > begin && chunk_->text()[end - 1] == '\r' ? end - 1 : end;
}

// As many whole lines from window_begin_ on as fit, one at least.
std::uint32_t ChunkParser::Impl::window_end_for(std::uint32_t bytes_max) const noexcept {
  const char* const text = chunk_->text();
  const std::uint32_t size = chunk_->size_bytes;
  if (size - window_begin_ <= bytes_max) return size;
  const void* const found = ::memrchr(text + window_begin_, '\n', bytes_max);
  if (found != nullptr) {
    return static_cast<std::uint32_t>(static_cast<const char*>(found) - text) + 1;
  }
  return std::min(line_end_from(window_begin_) + 1, size);
}

// False: the chunk has no more lines.
bool ChunkParser::Impl::next_window(RejectSink& rejects) {
  for (;;) {
    window_begin_ = line_begin_ = window_end_;
    if (window_begin_ == chunk_->size_bytes) return false;
    std::uint32_t bytes_max = window_bytes_;
    if (window_begin_ < failed_end_) bytes_max = std::max((failed_end_ - window_begin_) / 2, 1U);
    window_end_ = window_end_for(bytes_max);
    if (window_end_ - window_begin_ > kWindowBytes && reject_unindexed(rejects)) continue;
    for (;;) {
      const char* const text = chunk_->text() + window_begin_;
      const std::uint32_t size = window_end_ - window_begin_;
      if (index_.build(text, size)) {
        line_end_count_ = find_newlines(text, size, line_ends_.data());
        line_end_next_ = 0;
        chunk_lines_ += line_end_count_;
        walker_.begin_window(text, size, index_.tokens());
        token_ = 0;
        return true;
      }
      if (line_end_from(window_begin_) + 1 >= window_end_) break;
      failed_end_ = window_end_;
      window_end_ = window_end_for(std::max(size / 2, 1U));
    }
    // One line alone, and the index refuses it.
    count_lone_line();
    const std::uint32_t end = trimmed(window_begin_, line_end_from(window_begin_));
    const char* const line = chunk_->text() + window_begin_;
    const bool utf8 = simdjson::validate_utf8(line, end - window_begin_);
    reject(utf8 ? RejectReason::kMalformedJson : RejectReason::kInvalidUtf8, window_begin_, end,
           rejects);
  }
}

// The window is one line, which is not indexed. begin() has counted an unfinished one.
void ChunkParser::Impl::count_lone_line() noexcept {
  if (chunk_->text()[window_end_ - 1] == '\n') ++chunk_lines_;
}

// A window over kWindowBytes is one long line. True: it is too long for the index as well.
bool ChunkParser::Impl::reject_unindexed(RejectSink& rejects) {
  const std::uint32_t end = trimmed(window_begin_, line_end_from(window_begin_));
  const bool cut = chunk_->ends_cut && window_end_ == chunk_->size_bytes;
  if (!cut && end - window_begin_ <= config_.line_bytes_max) return false;
  count_lone_line();
  reject(RejectReason::kLineTooLong, window_begin_, end, rejects);
  return true;
}

// The line at line_begin_, which is in the window. True: `event` holds it.
bool ChunkParser::Impl::next_line(core::Event& event, RejectSink& rejects) {
  const std::uint32_t begin = line_begin_;
  const bool finished = line_end_next_ < line_end_count_;
  const std::uint32_t newline =
      finished ? window_begin_ + line_ends_[line_end_next_++] : chunk_->size_bytes;
  const std::uint32_t line_end = newline - window_begin_;
  const std::uint32_t* const tokens = index_.tokens();
  const std::size_t first = token_;
  line_begin_ = std::min(newline + 1, window_end_);
  if (tokens[first] >= line_end) {  // no token: white space alone
    const bool cut = chunk_->ends_cut && newline == chunk_->size_bytes;
    if (trimmed(begin, newline) - begin > config_.line_bytes_max || cut) {
      reject(RejectReason::kLineTooLong, begin, trimmed(begin, newline), rejects);
    } else {
      ++counters_.blank;
    }
    return false;
  }
  const WalkResult result =
      walker_.walk(first, line_end, fields_, chunk_->scratch() + chunk_->scratch_used_bytes);
  const std::uint32_t end = trimmed(begin, newline);
  if (result == WalkResult::kOk && end - begin <= config_.line_bytes_max &&
      (newline != chunk_->size_bytes || !chunk_->ends_cut)) [[likely]] {
    token_ = walker_.next_token();
    const auto reason = builder_.build(fields_, {window_begin_, begin, end}, event);
    if (!reason) [[likely]] {
      ++counters_.accepted;
      return true;
    }
    reject(*reason, begin, end, rejects);
    return false;
  }
  while (tokens[token_] < line_end) ++token_;
  reject(reason_of(result, walker_), begin, end, rejects);
  return false;
}

// The one place where a line is turned away. Length comes first, then where the source ended.
void ChunkParser::Impl::reject(RejectReason reason, std::uint32_t begin, std::uint32_t end,
                               RejectSink& rejects) {
  const bool unfinished = line_end_from(begin) == chunk_->size_bytes;
  if (end - begin > config_.line_bytes_max || (unfinished && chunk_->ends_cut)) {
    reason = RejectReason::kLineTooLong;
  } else if (unfinished && chunk_->last_of_source &&
             (reason == RejectReason::kMalformedJson || reason == RejectReason::kInvalidUtf8)) {
    reason = RejectReason::kTruncated;
  }
  ++counters_.rejected[static_cast<std::size_t>(reason)];
  rejects.rejected({reason, chunk_->first_sequence + begin, chunk_->source_index,
                    std::string_view(chunk_->text() + begin, end - begin)});
}

ChunkParser::ChunkParser(const ParseConfig& config) : impl_(std::make_unique<Impl>(config)) {}
ChunkParser::~ChunkParser() = default;
void ChunkParser::begin(core::Chunk& chunk) {
  impl_->begin(chunk);
}
std::size_t ChunkParser::next(std::span<core::Event> out, RejectSink& rejects) {
  return impl_->next(out, rejects);
}
const ParseCounters& ChunkParser::counters() const noexcept {
  return impl_->counters();
}

}  // namespace grace::parse
