#include <algorithm>
#include <utility>

#include "grace/core/packed_event.h"
#include "grace/ingest/journal.h"
#include "grace/ledger/reader.h"
#include "journal_error.h"
#include "journal_format.h"

namespace grace::ingest {

using core::ErrorCode;
using core::make_error;
using core::Result;

// Positions of the log's records (one for each chunk, and notes) are called records here, to tell
// them from sequences, which are positions in the input.
class JournalReader::Impl {
 public:
  explicit Impl(std::string d) : directory(std::move(d)) {}

  Result<void> seek(std::uint64_t record) {
    auto opened = ledger::Reader::open(directory, {.from_sequence = record});
    if (!opened) return tl::unexpected<core::Error>(from_ledger(opened.error()));
    reader.emplace(std::move(*opened));
    expected.reset();
    return {};
  }

  Result<std::optional<RecordedChunk>> next() {
    ledger::RecordView record;
    for (;;) {
      const ledger::ReadStatus status = reader->next(record);
      if (status == ledger::ReadStatus::kEnd) return std::nullopt;
      if (status != ledger::ReadStatus::kRecord) {
        return tl::unexpected<core::Error>(from_ledger(reader->error()));
      }
      if (record.type == ledger::RecordType::kChunk) break;
    }
    auto chunk = decode_chunk(record.text());
    if (!chunk) return tl::unexpected<core::Error>(chunk.error());
    if (expected &&
        (expected->number != chunk->number || expected->sequence != chunk->first_sequence)) {
      return make_error(ErrorCode::kCorrupt,
                        directory + ": chunk " + std::to_string(chunk->number) + " where chunk " +
                            std::to_string(expected->number) + " is due",
                        0, record.offset);
    }
    expected = InputPosition{chunk->number + 1, chunk->first_sequence + chunk->text.size()};
    return *chunk;
  }

  std::string directory;
  std::optional<ledger::Reader> reader;
  std::optional<InputPosition> expected;  // what the next chunk must be
};

JournalReader::JournalReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalReader::~JournalReader() = default;

Result<std::unique_ptr<JournalReader>> JournalReader::open(const std::string& directory) {
  auto impl = std::make_unique<Impl>(directory);
  if (auto opened = impl->seek(1); !opened) return tl::unexpected<core::Error>(opened.error());
  return std::unique_ptr<JournalReader>(new JournalReader(std::move(impl)));
}

Result<std::optional<RecordedChunk>> JournalReader::next() {
  return impl_->next();
}

Result<std::string> JournalReader::find_line(std::uint64_t sequence) {
  const auto missing = [&] {
    return make_error(ErrorCode::kNotFound,
                      impl_->directory + ": no chunk holds input byte " + std::to_string(sequence),
                      0, sequence);
  };
  const auto stats = ledger::log_stats(impl_->directory);
  if (!stats) return tl::unexpected<core::Error>(from_ledger(stats.error()));
  if (stats->records == 0) return missing();
  // The last record from which the next chunk begins at or before the sequence.
  std::uint64_t low = stats->first_sequence, high = stats->last_sequence;
  while (low < high) {
    const std::uint64_t middle = low + (high - low + 1) / 2;
    if (auto found = impl_->seek(middle); !found) return tl::unexpected<core::Error>(found.error());
    const auto chunk = impl_->next();
    if (!chunk) return tl::unexpected<core::Error>(chunk.error());
    if (*chunk && (*chunk)->first_sequence <= sequence) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (auto found = impl_->seek(low); !found) return tl::unexpected<core::Error>(found.error());
  const auto chunk = impl_->next();
  if (!chunk) return tl::unexpected<core::Error>(chunk.error());
  if (!*chunk || sequence < (*chunk)->first_sequence ||
      sequence - (*chunk)->first_sequence >= (*chunk)->text.size()) {
    return missing();
  }
  const std::string_view text = (*chunk)->text;
  const std::size_t at = sequence - (*chunk)->first_sequence;
  if ((*chunk)->packed) {
    std::string line;
    core::append_json_line(core::packed_record(text, at), line);
    return line;
  }
  const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const std::size_t end = std::min(text.find('\n', at), text.size());
  return std::string(text.substr(begin, end - begin));
}

namespace {

SourceTraits traits_of(const std::string& directory) {
  SourceTraits traits;
  traits.name = "journal:" + directory;
  traits.kind = core::SourceKind::kJournal;
  traits.replays = true;
  return traits;
}

}  // namespace

JournalSource::JournalSource(const std::string& directory, std::unique_ptr<JournalReader> reader)
    : Source(traits_of(directory)), reader_(std::move(reader)) {}
JournalSource::~JournalSource() = default;

Result<std::unique_ptr<JournalSource>> JournalSource::open(const std::string& directory) {
  auto reader = JournalReader::open(directory);
  if (!reader) return tl::unexpected<core::Error>(reader.error());
  std::unique_ptr<JournalSource> source(new JournalSource(directory, std::move(*reader)));
  auto first = source->reader_->next();
  if (!first) return tl::unexpected<core::Error>(first.error());
  source->pending_ = *first;
  if (*first) source->begin_ = {(*first)->number, (*first)->first_sequence};
  source->ended_ = !first->has_value();
  return source;
}

bool JournalSource::load_next() {
  auto next = reader_->next();
  if (!next) report(std::move(next.error()));
  if (next) pending_ = *next;
  return pending_.has_value();
}

ReadStatus JournalSource::read(core::Chunk& chunk, const ReadLimits& /*limits*/) {
  if (chunk.size_bytes > 0) return ReadStatus::kFull;
  if (stopped_ || ended_ || (!pending_ && !load_next())) return ReadStatus::kEnded;
  const RecordedChunk& from = *pending_;
  if (from.text.size() > chunk.capacity()) {
    report({ErrorCode::kInvalidArgument,
            traits_.name + ": chunk " + std::to_string(from.number) + " has " +
                std::to_string(from.text.size()) + " bytes, this engine's chunks hold " +
                std::to_string(chunk.capacity()),
            0, from.first_sequence});
    return ReadStatus::kEnded;
  }
  std::copy(from.text.begin(), from.text.end(), chunk.text());
  chunk.size_bytes = static_cast<std::uint32_t>(from.text.size());
  chunk.number = from.number;
  chunk.first_sequence = from.first_sequence;
  chunk.arrival_ns = from.arrival_ns;
  chunk.source_index = from.source_index;
  chunk.source_kind = from.source_kind;
  chunk.trusted = from.trusted;
  chunk.operator_allowed = from.operator_allowed;
  chunk.begins_cut = from.begins_cut;
  chunk.ends_cut = from.ends_cut;
  chunk.last_of_source = from.last_of_source;
  chunk.packed = from.packed;
  pending_.reset();
  return ReadStatus::kFull;
}

}  // namespace grace::ingest
