#include "whole_file.h"

#include <fcntl.h>

#include "grace/ledger/signed_note.h"
#include "io_error.h"
#include "segment_source.h"

namespace grace::ledger::internal {

Result<void> store_whole(FileSystem& fs, const std::string& directory, const std::string& name,
                         std::span<const std::byte> bytes) {
  const std::string path = directory + "/" + name;
  const std::string unfinished = path + ".new";
  const int fd = fs.open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return make_io_error("create", unfinished, fd);
  const int written = write_all(fs, fd, bytes, 0);
  const int synced = written < 0 ? 0 : fs.sync_file(fd);
  (void)fs.close(fd);
  if (written < 0) return make_io_error("write", unfinished, written);
  if (synced < 0) return make_io_error("sync", unfinished, synced);
  if (const int renamed = fs.rename(unfinished, path); renamed < 0) {
    return make_io_error("rename", unfinished, renamed);
  }
  if (const int named = fs.sync_directory(directory); named < 0) {
    return make_io_error("sync directory", directory, named);
  }
  return {};
}

Result<std::optional<std::string>> load_note(const std::string& path) {
  const auto file = FileSource::open(path);
  if (!file && is_absent(file.error())) return std::nullopt;
  if (!file) return tl::unexpected<Error>(file.error());
  std::string note(kNoteBytesMax + 1, '\0');
  const auto got = (*file)->read(0, std::as_writable_bytes(std::span(note)));
  if (!got) return tl::unexpected<Error>(got.error());
  note.resize(*got);
  return note;
}

}  // namespace grace::ledger::internal
