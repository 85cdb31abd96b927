#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "generator.h"
#include "grace/core/error.h"

namespace grace::tools {

// Lines made before the load begins, handed out over and over. Those that begin with `{"ts":` and
// 19 digits, as the generator's do, get a new timestamp each time, so that event time goes on;
// others are sent as they are. Topology lines at the start are sent once. Immutable: any thread.
class LoadStream {
 public:
  // kInvalidArgument: no lines, or one of more than `line_bytes_max`.
  [[nodiscard]] static core::Result<LoadStream> of(std::string text, std::size_t line_bytes_max);
  [[nodiscard]] static core::Result<LoadStream> generated(const GeneratorOptions& options,
                                                          std::size_t line_bytes_max);
  // kIo: the file cannot be read; kInvalidArgument: it is larger than kFileBytesMax.
  static constexpr std::size_t kFileBytesMax = std::size_t{4} << 30;
  [[nodiscard]] static core::Result<LoadStream> of_file(const std::string& path,
                                                        std::size_t line_bytes_max);

  [[nodiscard]] std::string_view line(std::uint64_t arrival) const noexcept;  // with its newline
  // The number of its line, from 0.
  [[nodiscard]] std::size_t index_of(std::uint64_t arrival) const noexcept;
  [[nodiscard]] std::string_view text() const noexcept { return text_; }  // all lines
  // Copies that line to `out`, with ts_ns where it carries a timestamp. Bytes written.
  std::size_t write(std::uint64_t arrival, std::int64_t ts_ns, char* out) const noexcept;
  [[nodiscard]] std::size_t line_count() const noexcept { return ends_.size(); }

 private:
  LoadStream() = default;
  std::string text_;
  std::vector<std::uint64_t> ends_;  // of each line
  std::size_t prologue_ = 0;         // lines that are sent once
};

}  // namespace grace::tools
