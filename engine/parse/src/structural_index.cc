#include "structural_index.h"

#include "grace/core/assert.h"
#include "grace/core/chunk.h"

namespace grace::parse {

static_assert(simdjson::SIMDJSON_PADDING <= core::kChunkPaddingBytes,
              "simdjson may read this far past a chunk's text");

StructuralIndex::StructuralIndex(std::size_t capacity) {
  const simdjson::error_code error =
      simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, stage_);
  GRACE_ASSERT(error == simdjson::SUCCESS, "simdjson: %s", simdjson::error_message(error));
}

bool StructuralIndex::build(const char* text, std::size_t size) noexcept {
  // simdjson reads bytes as unsigned char; both types may alias any object.
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text);
  const simdjson::error_code error = stage_->stage1(bytes, size, simdjson::stage1_mode::regular);
  if (error == simdjson::EMPTY) {  // white space only: fine, no tokens
    count_ = 0;
  } else if (error == simdjson::SUCCESS) {
    count_ = stage_->n_structural_indexes;
  } else {
    return false;
  }
  const auto sentinel = static_cast<std::uint32_t>(text[size - 1] == '\n' ? size - 1 : size);
  for (std::size_t i = 0; i < 4; ++i) stage_->structural_indexes[count_ + i] = sentinel;
  return true;
}

}  // namespace grace::parse
