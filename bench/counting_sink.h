#pragma once
#include <cstdint>

#include "grace/core/detector.h"

namespace grace::bench {

// Takes what detectors say and keeps only how much it was.
class CountingSink final : public core::FindingSink {
 public:
  void finding(core::Finding&&) override { ++findings; }
  void observe(const core::Observation&) override { ++observations; }
  std::uint64_t findings = 0;
  std::uint64_t observations = 0;
};

}  // namespace grace::bench
