#pragma once
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "grace/ledger/file_system.h"

namespace grace::ledger {

// The real file system, in which chosen calls fail or wait.
class FaultyFileSystem final : public FileSystem {
 public:
  // The n-th call from now on (1: the next), of any kind, fails with this errno; 0: none.
  void fail_call(std::uint64_t n, int error) {
    error_ = error;
    calls_ = 0;
    fail_at_ = n;
  }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }
  std::atomic<int> allocate_error{0};
  std::atomic<int> sync_error{0};
  std::atomic<int> sync_errors_left{-1};          // then the error goes away; -1: never
  std::atomic<std::uint64_t> fail_each_sync{0};   // each so many-th sync of data fails; 0: none
  std::atomic<std::uint64_t> fail_each_write{0};  // the same of writes
  [[nodiscard]] bool seen_allocations(std::uint64_t count) const { return allocations_ >= count; }
  // While set, syncs of data wait.
  void hold_syncs(bool hold) {
    {
      const std::lock_guard lock(mutex_);
      held_ = hold;
    }
    changed_.notify_all();
  }

  int open(const std::string& path, int flags, unsigned mode) override {
    if (const int error = next()) return error;
    return FileSystem::open(path, flags, mode);
  }
  int allocate(int fd, std::uint64_t bytes) override {
    if (const int error = next()) return error;
    if (allocate_error != 0) return -allocate_error;
    ++allocations_;
    return FileSystem::allocate(fd, bytes);
  }
  int truncate(int fd, std::uint64_t bytes) override {
    if (const int error = next()) return error;
    return FileSystem::truncate(fd, bytes);
  }
  std::int64_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
    if (const int error = next()) return error;
    if (const std::uint64_t each = fail_each_write; each > 0 && ++writes_ % each == 0) return -EIO;
    return FileSystem::write_at(fd, bytes, offset);
  }
  int sync_data(int fd) override {
    if (const int error = next()) return error;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !held_; });
    }
    const int error = sync_error;
    if (error != 0 && sync_errors_left > 0 && --sync_errors_left == 0) sync_error = 0;
    if (error != 0) return -error;
    if (const std::uint64_t each = fail_each_sync; each > 0 && ++syncs_ % each == 0) return -EIO;
    return FileSystem::sync_data(fd);
  }
  int sync_file(int fd) override {
    if (const int error = next()) return error;
    return FileSystem::sync_file(fd);
  }
  int sync_directory(const std::string& path) override {
    if (const int error = next()) return error;
    return FileSystem::sync_directory(path);
  }
  int rename(const std::string& from, const std::string& to) override {
    if (const int error = next()) return error;
    return FileSystem::rename(from, to);
  }
  int remove(const std::string& path) override {
    if (const int error = next()) return error;
    return FileSystem::remove(path);
  }
  int make_directory(const std::string& path) override {
    if (const int error = next()) return error;
    return FileSystem::make_directory(path);
  }

 private:
  int next() { return ++calls_ == fail_at_ ? -error_ : 0; }

  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> allocations_{0};
  std::atomic<std::uint64_t> syncs_{0};
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<std::uint64_t> fail_at_{0};
  std::atomic<int> error_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

}  // namespace grace::ledger
