// A ring as a hostile producer leaves it, taken in pieces and parsed:
//  - nothing outside of the ring and the chunk is touched;
//  - what was taken is whole records, each with one outcome;
//  - the pieces give what one piece gives;
//  - mesh and control events that were accepted can be decoded.
// Input: a byte for the size of pieces, eight for the tail, the rest is the ring's memory.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "grace/core/assert.h"
#include "grace/core/packed_ring.h"
#include "grace/parse/payload.h"
#include "parse_fixture.h"

using namespace grace;
using namespace grace::parse;

namespace {

constexpr std::size_t kRingBytes = 4096;
constexpr std::size_t kRecordBytesMax = 2048;

struct Emptied {
  std::string text;
  std::uint64_t records = 0;
  std::uint64_t oversized = 0;
  bool broken = false;
};

Emptied emptied(core::PackedRingState& state, const char* memory, std::size_t piece_bytes) {
  core::PackedRingReader reader(state, memory, kRingBytes);
  Emptied out;
  for (;;) {
    // A room of its own each time, so that a sanitizer sees its end.
    const std::size_t room = piece_bytes + kRecordBytesMax;
    const auto piece = std::make_unique<char[]>(room);
    const auto taken = reader.take(piece.get(), room, piece_bytes, kRecordBytesMax);
    GRACE_ASSERT(taken.bytes <= room);
    out.text.append(piece.get(), taken.bytes);
    out.records += taken.records;
    out.oversized += taken.oversized;
    out.broken = taken.broken;
    if (taken.broken || (taken.bytes == 0 && !taken.more)) break;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  std::uint64_t tail = 0;
  std::memcpy(&tail, data + 1, sizeof tail);
  const std::size_t piece_bytes = 1 + std::size_t{data[0]} * 16;
  const auto memory = std::make_unique<std::array<std::uint64_t, kRingBytes / 8>>();
  std::memcpy(memory->data(), data + 9, std::min(size - 9, kRingBytes));
  const char* const bytes = reinterpret_cast<const char*>(memory->data());
  core::PackedRingState state;
  state.tail.store(tail, std::memory_order_relaxed);  // relaxed: one thread
  const Emptied pieces = emptied(state, bytes, piece_bytes);
  const Emptied whole = emptied(state, bytes, kRingBytes);
  GRACE_ASSERT(pieces.text == whole.text && pieces.oversized == whole.oversized &&
               pieces.broken == whole.broken);

  static ChunkParser parser;
  auto chunk = make_chunk(whole.text);
  chunk->packed = true;
  chunk->trusted = true;
  chunk->arrival_ns = 1'736'951'400'000'000'000;
  const std::uint64_t before = parser.counters().received();
  std::vector<ParsedReject> rejects;
  std::uint64_t events = 0;
  drain_into(parser, *chunk, 3, rejects, [&](const core::Event& event) {
    ++events;
    if (event.kind == core::EventKind::kMesh) GRACE_ASSERT(parse_mesh(event).has_value());
    if (event.kind == core::EventKind::kControl) GRACE_ASSERT(parse_control(event).has_value());
    static_cast<void>(ParsedEvent(event).content());
  });
  GRACE_ASSERT(parser.counters().received() - before == events + rejects.size());
  GRACE_ASSERT(events + rejects.size() == core::packed_count(whole.text));
  GRACE_ASSERT(whole.records == core::packed_count(whole.text));
  for (std::string_view text = whole.text; !text.empty();) {
    const auto header = core::packed_at(text);
    GRACE_ASSERT(header.has_value());
    text.remove_prefix(header->size_bytes);
  }
  return 0;
}
