// The contract of Reactor on SimReactor: a calm disk, and disks that refuse and disturb what the reactor has
// to hide.
#include "engine/reactor/sim_world.h"
#include "tests/reactor/contract_harness.h"

namespace millrace {
namespace {

constexpr std::uint64_t k_seed = 1;

class SimHarness final : public ReactorHarness {
 public:
  explicit SimHarness(const std::function<void(SimNode&)>& prepare) {
    prepare(node_);
    node_.disk().write_file("test/.keep", "");
    CHECK(node_.disk().remove_file("test/.keep"));
  }

  void run(std::uint32_t shards, const TestMain& main) override {
    std::vector<ShardEnding> endings(shards);
    node_.start(shards, [&](Reactor& reactor) {
      const std::uint32_t shard = reactor.shard().value();
      return shard == 0 ? lead(reactor, main, endings) : serve(reactor, endings[shard]);
    });
    const SimEnd end = world_.run_until([&] { return !node_.running(); });
    CHECK(end == SimEnd::reached, "{}\n{}", name(end), world_.waiting());
  }
  [[nodiscard]] std::string folder() const override { return "test"; }

 private:
  SimWorld world_{k_seed};
  SimNode& node_ = world_.add_node("node");
};

Backend backend(std::string name, std::function<void(SimNode&)> prepare) {
  return {std::move(name), [prepare = std::move(prepare)] { return std::make_unique<SimHarness>(prepare); }};
}

INSTANTIATE_TEST_SUITE_P(Sim, ReactorContract,
                         testing::Values(backend("Calm", [](SimNode&) {}),
                                         backend("Refusing",
                                                 [](SimNode& node) {
                                                   node.disk().faults().refuse_direct = true;
                                                   node.disk().faults().refuse_synced_writes = true;
                                                 }),
                                         backend("Restless",
                                                 [](SimNode& node) {
                                                   node.disk().faults().short_transfers = 500'000;
                                                   node.disk().faults().stalls = 200'000;
                                                   node.disk().faults().stall_max =
                                                       std::chrono::milliseconds(100);
                                                 })),
                         backend_name);

}  // namespace
}  // namespace millrace
