#include "executor_wire.h"

#include <cstring>

namespace grace::schedule {
namespace {

class Writer {
 public:
  explicit Writer(char tag) { out_.push_back(tag); }
  template <typename T>
  Writer& number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
    return *this;
  }
  Writer& text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(value);
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads what Writer wrote; ok() turns false at the first thing that is not there.
class Reader {
 public:
  Reader(std::string_view packet, char tag) : rest_(packet) {
    ok_ = !rest_.empty() && rest_[0] == tag;
    if (ok_) rest_.remove_prefix(1);
  }
  template <typename T>
  T number() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string text() {
    const auto size = number<std::uint32_t>();
    if (!ok_ || rest_.size() < size) {
      ok_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = false;
};

}  // namespace

std::string encode_limits(const ExecutorConfig& config) {
  Writer writer('L');
  writer.number(config.concurrency_max)
      .number(config.memory_bytes_max)
      .number(config.files_max)
      .number(config.processes_max)
      .number(config.file_bytes_max)
      .number(static_cast<std::uint8_t>(config.no_new_privileges))
      .number(static_cast<std::uint32_t>(config.http_hosts.size()));
  for (const auto& host : config.http_hosts) writer.text(host);
  return writer.take();
}

std::optional<ExecutorConfig> decode_limits(std::string_view packet) {
  Reader reader(packet, 'L');
  ExecutorConfig config;
  config.concurrency_max = reader.number<std::uint32_t>();
  config.memory_bytes_max = reader.number<std::uint64_t>();
  config.files_max = reader.number<std::uint64_t>();
  config.processes_max = reader.number<std::uint64_t>();
  config.file_bytes_max = reader.number<std::uint64_t>();
  config.no_new_privileges = reader.number<std::uint8_t>() != 0;
  const auto hosts = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; reader.ok() && i < hosts; ++i) {
    config.http_hosts.push_back(reader.text());
  }
  return reader.complete() ? std::optional(std::move(config)) : std::nullopt;
}

std::string encode_request(const StepRequest& request) {
  const core::StepCommand& command = request.command;
  Writer writer('Q');
  writer.number(request.id)
      .number(static_cast<std::uint8_t>(command.kind))
      .number(static_cast<std::uint64_t>(command.timeout.count()))
      .number(static_cast<std::uint32_t>(command.argv.size()));
  for (const auto& argument : command.argv) writer.text(argument);
  writer.text(command.url).text(command.method).text(command.body);
  return writer.take();
}

std::optional<StepRequest> decode_request(std::string_view packet) {
  Reader reader(packet, 'Q');
  StepRequest request;
  request.id = reader.number<std::uint64_t>();
  request.command.kind = static_cast<core::StepKind>(reader.number<std::uint8_t>());
  request.command.timeout = std::chrono::milliseconds(reader.number<std::uint64_t>());
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; reader.ok() && i < count; ++i) {
    request.command.argv.push_back(reader.text());
  }
  request.command.url = reader.text();
  request.command.method = reader.text();
  request.command.body = reader.text();
  return reader.complete() ? std::optional(std::move(request)) : std::nullopt;
}

std::string encode_reply(const StepReply& reply) {
  Writer writer('R');
  return writer.number(reply.id)
      .number(static_cast<std::uint8_t>(reply.result.ok))
      .number(static_cast<std::uint8_t>(reply.result.timed_out))
      .number(static_cast<std::int32_t>(reply.result.exit_code))
      .number(reply.result.duration_ms)
      .text(std::string_view(reply.result.output_tail).substr(0, kTailBytesMax))
      .take();
}

std::optional<StepReply> decode_reply(std::string_view packet) {
  Reader reader(packet, 'R');
  StepReply reply;
  reply.id = reader.number<std::uint64_t>();
  reply.result.ok = reader.number<std::uint8_t>() != 0;
  reply.result.timed_out = reader.number<std::uint8_t>() != 0;
  reply.result.exit_code = reader.number<std::int32_t>();
  reply.result.duration_ms = reader.number<std::int64_t>();
  reply.result.output_tail = reader.text();
  return reader.complete() ? std::optional(std::move(reply)) : std::nullopt;
}

void OutputTail::add(std::string_view bytes) {
  if (bytes.size() > kTailBytesMax) bytes.remove_prefix(bytes.size() - kTailBytesMax);
  bytes_.append(bytes);
  if (bytes_.size() > kTailBytesMax) bytes_.erase(0, bytes_.size() - kTailBytesMax);
}

std::string OutputTail::text() const {
  std::string text = bytes_;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  for (char& c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace grace::schedule
