#pragma once
// Relacy defines macros such as `new`, `assert` and `memory_order_acquire`. Here they end with this
// header: all that Relacy needs of them it has used by then.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <relacy/relacy.hpp>
#include <source_location>
#include <span>
#include <string_view>
#include <utility>
#undef $
#undef VAR
#undef VAR_T
#undef TLS_T
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

#include <cassert>
#include <cerrno>

namespace grace::ledger::internal {

// A place in the production source that orders threads: an operation with an order other than
// relaxed, a notification, or (line 0) all locks that production code takes.
struct Site {
  const char* file = "";
  std::uint32_t line = 0;
  const char* what = "";

  [[nodiscard]] bool is(const std::source_location& where) const {
    return line == where.line() && std::string_view(file) == where.file_name();
  }
};
inline constexpr std::uint32_t kAllLocks = 0;

// Which sites the models reach, and the one that does not do its work in a mutant. Of the one real
// thread there is. No allocation: within a model Relacy would count it as a leak.
class Sites {
 public:
  static constexpr std::size_t kSitesMax = 64;

  void reach(const std::source_location& where, const char* what) {
    if (!recording_) return;
    for (const Site& known : reached()) {
      if (known.is(where)) return;
    }
    if (count_ == kSitesMax) std::abort();
    sites_[count_++] = {where.file_name(), where.line(), what};
  }
  [[nodiscard]] std::span<const Site> reached() const { return {sites_, count_}; }
  [[nodiscard]] bool is_broken(const std::source_location& where) const {
    return broken_ != nullptr && broken_->is(where);
  }
  [[nodiscard]] bool locks() const { return broken_ == nullptr || broken_->line != kAllLocks; }
  void record(bool on) { recording_ = on; }
  void break_site(const Site* site) { broken_ = site; }

 private:
  Site sites_[kSitesMax];
  std::size_t count_ = 0;
  bool recording_ = false;
  const Site* broken_ = nullptr;
};
inline Sites sites;

inline rl::debug_info debug_info(const std::source_location& where) {
  return {where.function_name(), where.file_name(), where.line()};
}

// The production source under Relacy: atomics whose loads may give older values as far as their
// orders allow, plain data that notices a race, threads that are switched at every operation.
struct RelacySharing {
  template <typename T>
  class Atomic {
   public:
    using Where = std::source_location;
    explicit Atomic(T value) : value_(value) {}

    [[nodiscard]] T load(std::memory_order order, Where where = Where::current()) const {
      return value_.load(kept(order, where), debug_info(where));
    }
    void store(T value, std::memory_order order, Where where = Where::current()) {
      value_.store(value, kept(order, where), debug_info(where));
    }

   private:
    static rl::memory_order kept(std::memory_order order, const Where& where) {
      if (order == std::memory_order_relaxed) return rl::mo_relaxed;
      sites.reach(where, order == std::memory_order_acquire ? "acquire" : "release");
      if (sites.is_broken(where)) return rl::mo_relaxed;
      return order == std::memory_order_acquire ? rl::mo_acquire : rl::mo_release;
    }

    rl::atomic<T> value_;
  };

  template <typename T>
  class Plain {
   public:
    explicit Plain(T value) : value_(value) {}
    operator T() const { return value_(RL_INFO).load(); }  // as the T that it stands for
    Plain& operator=(T value) {
      value_(RL_INFO).store(value);
      return *this;
    }
    Plain& operator+=(T more) { return *this = *this + more; }
    Plain& operator++() { return *this += 1; }

   private:
    rl::var<T> value_;
  };

  class Mutex {
   public:
    Mutex() = default;
    void lock() {
      if (locks()) mutex_.lock(RL_INFO);
    }
    void unlock() {
      if (locks()) mutex_.unlock(RL_INFO);
    }

   protected:
    enum class Of { kProduction, kModel };
    explicit Mutex(Of of) : of_(of) {}

   private:
    [[nodiscard]] bool locks() const { return of_ == Of::kModel || sites.locks(); }

    const Of of_ = Of::kProduction;
    rl::mutex mutex_;
  };
  // Of what the model puts around the production code: locks in every mutant.
  struct ModelMutex : Mutex {
    ModelMutex() : Mutex(Of::kModel) {}
  };

  // Wakes up without cause as well, now and then.
  class ConditionVariable {
   public:
    using Where = std::source_location;
    template <typename AMutex, typename Condition>
    void wait(std::unique_lock<AMutex>& lock, Condition condition) {
      Mutex& mutex = *lock.mutex();
      Lockable lockable{mutex};
      while (!condition()) changed_.wait(lockable, RL_INFO);
    }
    void notify_all(Where where = Where::current()) {
      sites.reach(where, "notify");
      if (!sites.is_broken(where)) changed_.notify_all(debug_info(where));
    }
    void notify_one(Where where = Where::current()) {
      sites.reach(where, "notify");
      if (!sites.is_broken(where)) changed_.notify_one(debug_info(where));
    }

   private:
    struct Lockable {
      Mutex& mutex;
      void lock(rl::debug_info_param) { mutex.lock(); }
      void unlock(rl::debug_info_param) { mutex.unlock(); }
    };
    rl::condition_variable changed_;
  };

  // Each word of memory notices who reads and writes it without order, and who reads it before it
  // is written. A word is what entries are aligned to, so two of them never share one.
  class Bytes {
   public:
    static constexpr std::uint64_t kWordBytes = 8;
    static constexpr std::uint64_t kBytesMax = 64;  // the smallest ring there is

    class View {
     public:
      View() = default;
      View(const Bytes* bytes, std::uint64_t at, std::size_t count)
          : bytes_(bytes), at_(at), count_(count) {}
      [[nodiscard]] std::size_t size() const { return count_; }
      void copy_to(void* to) const { bytes_->read(at_, to, count_); }

     private:
      const Bytes* bytes_ = nullptr;
      std::uint64_t at_ = 0;
      std::size_t count_ = 0;
    };

    explicit Bytes(std::uint64_t count) {
      if (count > kBytesMax) std::abort();
    }
    void write(std::uint64_t at, std::span<const std::byte> head, std::span<const std::byte> body) {
      write_part(at, head);
      write_part(at + head.size(), body);
    }
    void read(std::uint64_t at, void* to, std::size_t count) const {
      for (std::uint64_t word = at / kWordBytes; word * kWordBytes < at + count; ++word) {
        (void)words_[word](RL_INFO).load();
      }
      if (count > 0) std::memcpy(to, bytes_.data() + at, count);
    }
    [[nodiscard]] View view(std::uint64_t at, std::size_t count) const { return {this, at, count}; }

   private:
    void write_part(std::uint64_t at, std::span<const std::byte> part) {
      if (part.empty()) return;
      for (std::uint64_t word = at / kWordBytes; word * kWordBytes < at + part.size(); ++word) {
        words_[word](RL_INFO).store(1);
      }
      std::memcpy(bytes_.data() + at, part.data(), part.size());
    }

    // Not allocated: when it is freed is one more choice for a search of all executions.
    std::array<std::byte, kBytesMax> bytes_;
    std::array<rl::var<char>, kBytesMax / kWordBytes> words_;
  };
};

}  // namespace grace::ledger::internal
