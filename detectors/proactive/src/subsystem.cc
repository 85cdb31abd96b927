#include <utility>

#include "grace/proactive/proactive.h"
#include "ordered.h"
#include "partition.h"

namespace grace::proactive {
namespace {

class ProactiveSubsystem final : public core::Subsystem {
 public:
  explicit ProactiveSubsystem(ProactiveConfig config) : config_(std::move(config)) {}
  [[nodiscard]] core::Source source() const noexcept override { return core::Source::kProactiveMl; }
  [[nodiscard]] std::unique_ptr<core::PartitionDetector> make_partition(
      std::size_t partition_index) const override {
    static_cast<void>(partition_index);  // all partitions are alike
    return std::make_unique<ProactivePartition>(config_);
  }
  [[nodiscard]] std::unique_ptr<core::OrderedDetector> make_ordered(
      const core::OrderedContext& context) const override {
    return std::make_unique<ProactiveOrdered>(config_, context);
  }

 private:
  const ProactiveConfig config_;
};

}  // namespace

std::unique_ptr<core::Subsystem> make_proactive(ProactiveConfig config) {
  return std::make_unique<ProactiveSubsystem>(std::move(config));
}

}  // namespace grace::proactive
