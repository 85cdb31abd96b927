#pragma once
#include <memory>
#include <string>

#include "grace/ingest/source.h"

namespace grace::ingest {

class LineBuffer;

struct StdinSourceConfig {
  // --- behaviour ---
  int fd = 0;  // any readable descriptor: pipe, terminal, file. Not closed by the source
  std::string name = "stdin";
  bool operator_allowed = true;
};

// Standard input. Waits with poll(), never sets O_NONBLOCK: the descriptor's flags are shared with
// the shell that started us. Ends at end of file. Stop: what was read is handed on, an unfinished
// line too.
class StdinSource final : public Source {
 public:
  explicit StdinSource(const StdinSourceConfig& config = {});
  ~StdinSource() override;
  [[nodiscard]] ReadStatus read(core::Chunk& chunk, const ReadLimits& limits) override;
  void request_stop() override { stopped_ = true; }

 private:
  StdinSourceConfig config_;
  std::unique_ptr<LineBuffer> buffer_;
  bool stopped_ = false;
};

}  // namespace grace::ingest
