#include "crash_storage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace grace::ledger {
namespace {

namespace stdfs = std::filesystem;

// How many snapshots back an older version of a sector may come from.
constexpr std::size_t kHistory = 12;

std::string parent_of(const std::string& name) {
  const auto slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

Bytes read_whole(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return {};
  Bytes bytes(static_cast<std::size_t>(info.st_size));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto got =
        ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

// One sector of a file, as zeros where the file has none.
struct Sector {
  std::array<std::byte, kSectorBytes> bytes{};
  Sector(const Bytes& file, std::size_t at) {
    if (at >= file.size()) return;
    std::memcpy(bytes.data(), file.data() + at,
                std::min<std::size_t>(kSectorBytes, file.size() - at));
  }
};

}  // namespace

CrashStorage::CrashStorage(std::string folder, std::uint64_t acknowledged, std::uint64_t seed,
                           const CrashSnapshot* killed)
    : folder_(std::move(folder)), random_(seed), acknowledged_(acknowledged) {
  if (!stdfs::exists(folder_)) return;
  for (const auto& entry : stdfs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file() || entry.path().filename() == "LOCK") continue;
    const std::uint64_t inode = adopt(entry.path().string());
    inodes_[inode].durable = std::make_shared<Bytes>(read_whole(inodes_[inode].fd));
    present_names_[relative(entry.path().string())] = inode;
  }
  durable_names_ = present_names_;
  if (killed != nullptr) inherit(*killed);
}

CrashStorage::~CrashStorage() {
  for (const auto& [number, inode] : inodes_) {
    if (inode.fd >= 0) ::close(inode.fd);
  }
}

// The files are copies, so they have other inodes than in the snapshot.
void CrashStorage::inherit(const CrashSnapshot& killed) {
  std::map<std::uint64_t, std::uint64_t> copies;
  for (const auto& [name, inode] : killed.present_names) copies[inode] = present_names_.at(name);
  std::uint64_t unnamed = ~std::uint64_t{0};
  for (const auto& [inode, view] : killed.files) {
    // One that has no name any more may get its name back, but nobody can write to it.
    if (copies.count(inode) == 0) copies[inode] = unnamed--;
    inodes_[copies[inode]].durable = view.durable;
  }
  durable_names_.clear();
  for (const auto& [name, inode] : killed.names) durable_names_[name] = copies.at(inode);
  changes_ = killed.changes;
  for (NameChange& change : changes_) {
    if (!change.to.empty()) change.inode = copies.at(change.inode);
  }
}

std::size_t CrashStorage::watch(const Writer* writer) {
  const std::lock_guard lock(mutex_);
  if (writer_ != nullptr) acknowledged_ = std::max(acknowledged_, writer_->durable_sequence());
  writer_ = writer;
  return snapshots_.size();
}

void CrashStorage::snapshot() {
  const std::lock_guard lock(mutex_);
  take_snapshot();
}

void CrashStorage::take_snapshot() {
  // First what was promised: all that follows is at least as new.
  if (writer_ != nullptr) acknowledged_ = std::max(acknowledged_, writer_->durable_sequence());
  CrashSnapshot taken;
  taken.acknowledged = acknowledged_;
  taken.names = durable_names_;
  taken.changes = changes_;
  taken.present_names = present_names_;
  std::vector<std::uint64_t> wanted;
  for (const auto& [name, inode] : durable_names_) wanted.push_back(inode);
  for (const auto& [name, inode] : present_names_) wanted.push_back(inode);
  for (const NameChange& change : changes_) {
    if (!change.to.empty()) wanted.push_back(change.inode);
  }
  for (const std::uint64_t number : wanted) {
    if (taken.files.count(number) > 0) continue;
    Inode& inode = inodes_.at(number);
    Bytes now = inode.fd < 0 ? *inode.durable : read_whole(inode.fd);
    if (now == *inode.durable) {
      inode.present = inode.durable;
    } else if (now != *inode.present) {
      inode.present = std::make_shared<Bytes>(std::move(now));
    }
    taken.files[number] = {inode.durable, inode.present, inode.oldest};
  }
  snapshots_.push_back(std::move(taken));
}

std::string CrashStorage::relative(const std::string& path) const {
  return path.size() > folder_.size() ? path.substr(folder_.size() + 1) : std::string();
}

std::uint64_t CrashStorage::adopt(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  (void)::fstat(fd, &info);
  const auto number = static_cast<std::uint64_t>(info.st_ino);
  const auto [place, fresh] = inodes_.try_emplace(number);
  if (fresh) {
    place->second.fd = fd;  // holds the inode, so that its number is not given to another file
  } else {
    ::close(fd);
  }
  return number;
}

void CrashStorage::change_name(const std::string& from, const std::string& to,
                               std::uint64_t inode) {
  if (!from.empty()) present_names_.erase(from);
  if (!to.empty()) present_names_[to] = inode;
  changes_.push_back({from, to, inode, from.empty(), to.empty()});
}

// `content` was read when the sync began, after `seen` snapshots; the file had `file_bytes`.
void CrashStorage::make_durable(Inode& inode, const Bytes& content, std::uint64_t offset,
                                std::uint64_t file_bytes, std::size_t seen) {
  auto durable = std::make_shared<Bytes>(*inode.durable);
  durable->resize(file_bytes);
  std::copy(content.begin(), content.end(), durable->begin() + static_cast<std::ptrdiff_t>(offset));
  auto oldest = std::make_shared<std::vector<std::uint32_t>>(*inode.oldest);
  oldest->resize((file_bytes + kSectorBytes - 1) / kSectorBytes, 0);
  const std::size_t first = offset / kSectorBytes;
  const std::size_t last = (offset + content.size() + kSectorBytes - 1) / kSectorBytes;
  for (std::size_t sector = first; sector < last; ++sector) {
    (*oldest)[sector] = static_cast<std::uint32_t>(seen);
  }
  inode.durable = std::move(durable);
  inode.oldest = std::move(oldest);
}

void CrashStorage::nap() {
  std::uint64_t us = 0;
  {
    const std::lock_guard lock(mutex_);
    if (random_.chance(40)) us = random_.below(600);
  }
  if (us > 0) std::this_thread::sleep_for(std::chrono::microseconds(us));
}

// --- the seam ---

int CrashStorage::open(const std::string& path, int flags, unsigned mode) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  const int fd = FileSystem::open(path, flags, mode);
  if (fd < 0) return fd;
  const std::uint64_t inode = adopt(path);
  open_[fd] = inode;
  const std::string name = relative(path);
  if (present_names_.count(name) == 0) change_name("", name, inode);
  return fd;
}

int CrashStorage::close(int fd) {
  const std::lock_guard lock(mutex_);
  open_.erase(fd);
  return FileSystem::close(fd);
}

int CrashStorage::allocate(int fd, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  return FileSystem::allocate(fd, bytes);
}

int CrashStorage::truncate(int fd, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  return FileSystem::truncate(fd, bytes);
}

std::int64_t CrashStorage::write_at(int fd, std::span<const std::byte> bytes,
                                    std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  return FileSystem::write_at(fd, bytes, offset);
}

int CrashStorage::sync_data(int fd) {
  {
    const std::lock_guard lock(mutex_);
    last_sync_failed_ = !last_sync_failed_ && random_.chance(20);
    if (last_sync_failed_) {
      take_snapshot();
      return -EIO;
    }
  }
  return sync_file(fd);
}

int CrashStorage::sync_file(int fd) {
  std::uint64_t number = 0;
  Bytes begun;
  std::size_t seen = 0;
  {
    const std::lock_guard lock(mutex_);
    take_snapshot();
    number = open_.at(fd);
    begun = read_whole(inodes_.at(number).fd);
    seen = snapshots_.size();
  }
  nap();
  const std::lock_guard lock(mutex_);
  take_snapshot();
  make_durable(inodes_.at(number), begun, 0, begun.size(), seen);
  take_snapshot();
  return 0;
}

int CrashStorage::sync_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  const std::string directory = relative(path);
  if (path.size() < folder_.size()) return 0;  // the folder's own name: always there
  std::vector<NameChange> left;
  for (NameChange& change : changes_) {
    if (!change.from.empty() && parent_of(change.from) == directory) change.from_synced = true;
    if (!change.to.empty() && parent_of(change.to) == directory) change.to_synced = true;
    if (!change.from_synced || !change.to_synced) {
      left.push_back(change);
      continue;
    }
    if (!change.from.empty()) durable_names_.erase(change.from);
    if (!change.to.empty()) durable_names_[change.to] = change.inode;
  }
  changes_ = std::move(left);
  take_snapshot();
  return 0;
}

int CrashStorage::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  const int outcome = FileSystem::rename(from, to);
  if (outcome < 0) return outcome;
  change_name(relative(from), relative(to), present_names_.at(relative(from)));
  take_snapshot();
  return outcome;
}

int CrashStorage::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  const int outcome = FileSystem::remove(path);
  if (outcome >= 0) change_name(relative(path), "", 0);
  return outcome;
}

// A directory is there if something in it is: that it may be lost while empty changes nothing.
int CrashStorage::make_directory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  take_snapshot();
  return FileSystem::make_directory(path);
}

// --- what is left ---

CrashState CrashStorage::kill(std::size_t index) const {
  const CrashSnapshot& at = snapshots_[index];
  CrashState state;
  for (const auto& [name, inode] : at.present_names) state[name] = *at.files.at(inode).present;
  return state;
}

CrashState CrashStorage::crash(std::size_t index, const CrashChoices& choices,
                               Random& random) const {
  const CrashSnapshot& at = snapshots_[index];
  std::map<std::string, std::uint64_t> names = at.names;
  const unsigned kept_percent = random.one_of<unsigned>({0, 20, 50, 80, 100});
  const std::size_t prefix = random.below(at.changes.size() + 1);
  for (std::size_t number = 0; number < at.changes.size(); ++number) {
    const NameChange& change = at.changes[number];
    const bool kept = choices.ordered_names ? number < prefix : random.chance(kept_percent);
    if (!kept) continue;
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.inode;
  }
  CrashState state;
  for (const auto& [name, inode] : names) {
    state[name] = crashed_file(index, inode, choices, random);
  }
  return state;
}

Bytes CrashStorage::crashed_file(std::size_t index, std::uint64_t inode,
                                 const CrashChoices& choices, Random& random) const {
  const FileView& view = snapshots_[index].files.at(inode);
  if (view.present == view.durable) return *view.durable;
  const Bytes& old = *view.durable;
  const Bytes& now = *view.present;
  Bytes out = now;
  out.resize(random.chance(50) ? now.size() : old.size());
  const unsigned new_percent = random.one_of<unsigned>({0, 5, 50, 95, 100});
  const unsigned older_percent = random.one_of<unsigned>({0, 0, 30});
  for (std::size_t at = 0; at < out.size(); at += kSectorBytes) {
    const std::size_t bytes = std::min<std::size_t>(kSectorBytes, out.size() - at);
    Sector before(old, at);
    const Sector after(now, at);
    if (before.bytes == after.bytes) continue;
    const bool is_new = random.chance(new_percent);
    if (at >= now.size() || !is_new) std::memcpy(out.data() + at, before.bytes.data(), bytes);
    if (random.chance(older_percent)) {
      const std::size_t sector = at / kSectorBytes;
      const std::size_t synced = sector < view.oldest->size() ? (*view.oldest)[sector] : 0;
      const std::size_t first = std::max(synced, index > kHistory ? index - kHistory : 0);
      if (first >= index) continue;
      const CrashSnapshot& earlier = snapshots_[first + random.below(index - first)];
      const auto known = earlier.files.find(inode);
      if (known == earlier.files.end()) continue;
      const Sector version(*known->second.present, at);
      std::memcpy(out.data() + at, version.bytes.data(), bytes);
    } else if (choices.tear_sectors && random.chance(30)) {
      const std::size_t edge = random.below(bytes + 1);
      std::memcpy(out.data() + at, after.bytes.data(), edge);
      std::memcpy(out.data() + at + edge, before.bytes.data() + edge, bytes - edge);
    }
  }
  return out;
}

void write_state(const CrashState& state, const std::string& folder) {
  std::vector<stdfs::path> unwanted;
  if (stdfs::exists(folder)) {
    for (const auto& entry : stdfs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && state.count(entry.path().lexically_relative(folder)) == 0) {
        unwanted.push_back(entry.path());
      }
    }
  }
  for (const auto& path : unwanted) stdfs::remove(path);
  stdfs::create_directories(folder);
  for (const auto& [name, bytes] : state) {
    const std::string path = folder + "/" + name;
    if (!parent_of(name).empty()) stdfs::create_directories(folder + "/" + parent_of(name));
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    std::size_t used = bytes.size();
    while (used > 0 && bytes[used - 1] == std::byte{0}) --used;
    const bool written = fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes.size())) == 0 &&
                         ::pwrite(fd, bytes.data(), used, 0) == static_cast<ssize_t>(used);
    ::close(fd);
    if (written) continue;
    std::fprintf(stderr, "cannot write %s: %s\n", path.c_str(), std::strerror(errno));
    std::abort();
  }
}

}  // namespace grace::ledger
