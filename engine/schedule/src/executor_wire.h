#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "grace/core/step_executor.h"
#include "grace/schedule/process_executor.h"

namespace grace::schedule {

// Messages between engine, executor and guard, one a packet (SOCK_SEQPACKET keeps the boundaries;
// a guard's result fits into one atomic pipe write). Same machine, same binary: native byte order.
//
//   limits:  'L' | concurrency u32 | memory u64 | files u64 | processes u64 | file bytes u64 |
//            no_new_privileges u8 | host count u32 | hosts
//   request: 'Q' | id u64 | kind u8 | timeout_ms u64 | argv count u32 | argv | url | method | body
//   result:  'R' | id u64 | ok u8 | timed_out u8 | exit_code i32 | duration_ms i64 | tail
//   a text is: size u32 | bytes
inline constexpr std::size_t kPacketBytesMax = 128 * 1024;
inline constexpr std::size_t kTailBytesMax = 1024;
inline constexpr std::size_t kResultBytesMax = 2048;
static_assert(kResultBytesMax <= 4096, "a result must fit into one atomic pipe write (PIPE_BUF)");

struct StepRequest {
  std::uint64_t id = 0;
  core::StepCommand command;  // run_id and step_index stay with the engine
};
struct StepReply {
  std::uint64_t id = 0;
  core::StepResult result;
};

[[nodiscard]] std::string encode_limits(const ExecutorConfig& config);
[[nodiscard]] std::string encode_request(const StepRequest& request);
[[nodiscard]] std::string encode_reply(const StepReply& reply);
// nullopt: not such a packet.
[[nodiscard]] std::optional<ExecutorConfig> decode_limits(std::string_view packet);
[[nodiscard]] std::optional<StepRequest> decode_request(std::string_view packet);
[[nodiscard]] std::optional<StepReply> decode_reply(std::string_view packet);

// Last kTailBytesMax bytes of what a command wrote, control characters replaced by blanks.
class OutputTail {
 public:
  void add(std::string_view bytes);
  [[nodiscard]] std::string text() const;

 private:
  std::string bytes_;
};

}  // namespace grace::schedule
