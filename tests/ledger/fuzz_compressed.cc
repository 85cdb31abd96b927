// Feeds any bytes to the reader of compressed segments, as a file and as what stands in a file's
// place: a good file whose seek table and frames the input changes. Besides not crashing it must
// keep its word: what it gives does not hang on where reading began, and stays inside its size.
#include <zstd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "compressed_segment.h"
#include "grace/ledger/format.h"

namespace {

using grace::ledger::internal::CompressedSource;
using grace::ledger::internal::kFrameBytesMin;
using grace::ledger::internal::MemorySource;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(std::span<const std::byte> file) {
  CompressedSource source(std::make_unique<MemorySource>(file));
  const auto size = source.size();
  if (!size) {
    require(size.error().code == grace::ledger::ErrorCode::kCorrupt);
    return;
  }
  require(*size > 0 && *size <= grace::ledger::kSegmentBytesMax);
  std::vector<std::byte> piece(50000);
  std::vector<std::byte> again(100);
  // A liar may claim gigabytes in few frames: the first and the last MiB say enough.
  for (std::uint64_t at = 0; at < *size; at += piece.size()) {
    if (at == 20 * piece.size() && *size > 40 * piece.size()) at = *size - 20 * piece.size();
    const auto got = source.read(at, piece);
    if (!got) {
      require(got.error().code == grace::ledger::ErrorCode::kCorrupt);
      require(got.error().offset < *size);
      continue;
    }
    require(*got == std::min<std::uint64_t>(piece.size(), *size - at));
    const std::uint64_t inside = *got / 2;
    const auto part = source.read(at + inside, again);
    if (!part) continue;  // it reaches into the next frame
    const auto both = std::min<std::uint64_t>(*part, *got - inside);
    require(std::memcmp(again.data(), piece.data() + inside, both) == 0);
  }
  require(source.read(*size, again).value_or(1) == 0);
}

void put(std::vector<std::byte>& out, std::uint32_t value) {
  const auto bytes = std::as_bytes(std::span<const std::uint32_t, 1>(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// Two frames with checksums, of which the input is the content, and then changes: each four bytes
// of it are a place and a new value there.
std::vector<std::byte> changed_file(std::span<const std::byte> input) {
  std::vector<std::byte> out;
  std::vector<std::byte> table;
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  for (const std::size_t bytes : {std::size_t{kFrameBytesMin}, std::size_t{5000}}) {
    std::vector<std::byte> content(bytes);
    std::memcpy(content.data(), input.data(), std::min(bytes, input.size()));
    std::vector<std::byte> frame(ZSTD_compressBound(bytes));
    frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), content.data(), bytes));
    put(table, static_cast<std::uint32_t>(frame.size()));
    put(table, static_cast<std::uint32_t>(bytes));
    table.insert(table.end(), frame.end() - 4, frame.end());
    out.insert(out.end(), frame.begin(), frame.end());
  }
  ZSTD_freeCCtx(context);
  put(out, 0x184D2A5E);
  put(out, static_cast<std::uint32_t>(table.size() + 9));
  out.insert(out.end(), table.begin(), table.end());
  put(out, 2);
  out.push_back(std::byte{0x80});
  put(out, 0x8F92EAB1);
  for (std::size_t at = 0; at + 4 <= input.size() && at < 40; at += 4) {
    std::uint16_t place = 0;
    std::memcpy(&place, input.data() + at, sizeof(place));
    if (input[at + 3] == std::byte{0}) continue;
    out[out.size() - 1 - place % out.size()] = input[at + 2];
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  if (size > 0) check(changed_file(input));
  return 0;
}
