#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "grace/ledger/error.h"

namespace grace::ledger::internal {

// Bytes of a segment, from wherever. read() fills as much of `out` as there is: short only at the
// end. A plain file may grow or shrink between two calls. kCorrupt, from a compressed segment only:
// what is stored does not give the segment's bytes; offset says where in them.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;
  [[nodiscard]] virtual Result<std::uint64_t> read(std::uint64_t offset,
                                                   std::span<std::byte> out) = 0;
  // Tells one plain file from another of the same name; 0: there is nothing to tell.
  [[nodiscard]] virtual std::uint64_t identity() { return 0; }
};

class FileSource final : public ByteSource {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FileSource>> open(const std::string& path);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  Result<std::uint64_t> size() override;
  Result<std::uint64_t> read(std::uint64_t offset, std::span<std::byte> out) override;
  std::uint64_t identity() override;

 private:
  FileSource(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::uint64_t> size() override { return bytes_.size(); }
  Result<std::uint64_t> read(std::uint64_t offset, std::span<std::byte> out) override;

 private:
  std::span<const std::byte> bytes_;
};

// A segment in whichever form it is stored: the one place where segments are opened for reading. A
// plain file counts before a compressed one, which is there before the plain one goes, so nothing
// is missed in between. kIo with ENOENT where there is neither.
[[nodiscard]] Result<std::unique_ptr<ByteSource>> open_segment(const std::string& directory,
                                                               std::uint64_t number);
[[nodiscard]] bool is_absent(const Error& error);

}  // namespace grace::ledger::internal
