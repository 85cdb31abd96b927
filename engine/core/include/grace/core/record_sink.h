#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace grace::core {

// One ledger record as the specification's section on the ledger lists it. All times are event
// time: records hold no wall clock, so a replay writes the same bytes.
struct Record {
  std::int64_t ts_ns = 0;
  std::string_view actor;
  std::string_view action;
  std::string_view resource;
  std::string_view subsystem;
  std::string_view result;
  std::string_view payload;  // a raw JSON object
  // Who had it recorded, where it is another program's entry; empty: it is the engine's own. Only
  // those speak of the engine's state.
  std::string_view logged_by = {};
};

// Where decisions are recorded. The pipeline's implementation appends to the ledger and to the
// decision digest. Ordered stage's thread only.
class RecordSink {
 public:
  virtual void append(const Record& record) = 0;

 protected:
  ~RecordSink() = default;
};

}  // namespace grace::core
