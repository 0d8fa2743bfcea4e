// SPDX-License-Identifier: Apache-2.0
// Classes that merge, against an oracle in which they were one from the start.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/random.h"
#include "lockdep/order_graph.h"
#include "lockdep/order_oracle.h"
#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

/// Random steps and writers over classes, some of which have gone; then some merge, and more steps
/// follow. Evidence::thread is a way's number; the locks in it are of the nodes' own numbers.
class RandomMerge final : public OrderGraph::Merging {
  public:
    explicit RandomMerge(uint64_t seed)
        : random_(seed), arena_(world_), graph_(arena_), seed_(seed) {
        const uint64_t nodes = 3 + random_.below(4);
        for (uint64_t i = 0; i < nodes; ++i) nodes_.push_back(graph_.add_node());
        members_.assign(nodes_.begin(), nodes_.begin() + 2 + random_.below(nodes - 2));
    }

    void run() {
        own_ = graph_.add_node(members_.front());
        nodes_.push_back(own_);
        for (uint64_t i = 4 + random_.below(14); i > 0; --i) before();
        if (random_.below(2) == 0) graph_.retire(members_[random_.below(members_.size())]);
        const bool outsider_goes = nodes_.size() > members_.size() + 2 && random_.below(4) == 0;
        const NodeId outsider = nodes_[members_.size()];
        if (outsider_goes) {
            graph_.retire(outsider);
            std::erase(nodes_, outsider);
            std::erase_if(ways_, [&](const Told& told) {
                return told.way.from == outsider || told.way.to == outsider;
            });
        }
        merge();
        std::erase_if(nodes_, [&](NodeId node) { return std::ranges::count(members_, node) != 0; });
        nodes_.push_back(whole_);
        for (int i = 0; i < 12 && !::testing::Test::HasFailure(); ++i) after();
    }

    NodeId instance(LockId lock) override {
        NodeId& node = instances_[lock];
        if (node == 0) node = graph_.add_node(whole_);
        oracle_.family[node] = whole_;
        return node;
    }
    void found(const Ring& ring) override { rings_.push_back(ring); }

    uint64_t rings = 0;

  private:
    struct Told {
        OrderOracle::Way way;
        Evidence evidence;
        std::vector<Gate> gates;
    };

    NodeId any_node() { return nodes_[random_.below(nodes_.size())]; }
    std::vector<Gate> any_gates() {
        std::vector<Gate> gates;
        for (uint64_t i = random_.below(3); i > 0; --i) {
            gates.push_back({static_cast<LockId>(1 + random_.below(3)),
                             random_.below(3) == 0 ? Hold::shared : Hold::exclusive});
        }
        return gates;
    }
    bool merges(NodeId node) const { return std::ranges::count(members_, node) != 0; }

    Told any_step() {
        Told told{.way = {}, .evidence = {}, .gates = any_gates()};
        told.way = {any_node(),
                    any_node(),
                    static_cast<Hold>(random_.below(2)),
                    static_cast<Want>(random_.below(3)),
                    OrderOracle::set_of(told.gates),
                    ++number_};
        told.evidence.thread = number_;
        told.evidence.held_lock = static_cast<LockId>(10 * told.way.from + random_.below(2));
        told.evidence.wanted_lock = static_cast<LockId>(10 * told.way.to + random_.below(2));
        return told;
    }
    bool add(const Told& told, Ring& ring) {
        const OrderOracle::Way& way = told.way;
        return graph_.add({way.from, way.to, way.hold, way.want, told.evidence}, told.gates, ring);
    }

    void before() {
        Ring ring;
        if (random_.below(5) == 0) {
            const OrderOracle::Writer writer{any_node(), {}};
            graph_.add_writer(writer.node, {}, {}, ring);
            oracle_.writers.push_back(writer);
            return;
        }
        const Told told = any_step();
        OrderOracle known;
        for (const Told& other : ways_) known.ways.push_back(other.way);
        if (known.knows(told.way)) return;
        add(told, ring);
        std::erase_if(
            ways_, [&](const Told& other) { return OrderOracle::stands_for(told.way, other.way); });
        ways_.push_back(told);
    }

    void merge() {
        whole_ = graph_.add_node();
        graph_.merge(members_, whole_, *this);
        for (OrderOracle::Writer& writer : oracle_.writers)
            if (merges(writer.node)) writer.node = whole_;
        oracle_.family[own_] = whole_;
        std::vector<uint32_t> moved;
        std::vector<OrderOracle::Way> moved_ways;
        for (Told& told : ways_) {
            OrderOracle::Way way = told.way;
            const bool from = merges(way.from);
            const bool to = merges(way.to);
            if (from || to) moved.push_back(way.number);
            if (from && to && way.from != way.to) {
                way.from = instance(told.evidence.held_lock);
                way.to = instance(told.evidence.wanted_lock);
            } else {
                if (from) way.from = whole_;
                if (to) way.to = whole_;
            }
            moved_ways.push_back(way);
            if (!oracle_.knows(way)) oracle_.add(way);
        }
        bool expected = false;
        for (const OrderOracle::Way& way : oracle_.ways)
            expected = expected ||
                       (std::ranges::count(moved, way.number) != 0 && oracle_.shortest(way) != 0);
        // A writer may make a ring of steps that were not moved, those of a lock's own node.
        EXPECT_TRUE(!rings_.empty() || !expected) << "seed " << seed_;
        rings += rings_.size();
        for (const Ring& ring : rings_) expect_blocks(ring, moved_ways);
    }

    void expect_blocks(const Ring& ring, const std::vector<OrderOracle::Way>& ways) {
        std::vector<const OrderOracle::Way*> steps;
        for (const Step& step : ring.kept()) {
            for (const OrderOracle::Way& way : ways) {
                if (way.number != step.evidence.thread) continue;
                EXPECT_TRUE(way.from == step.from && way.to == step.to) << "seed " << seed_;
                steps.push_back(&way);
            }
        }
        EXPECT_EQ(steps.size(), ring.length) << "seed " << seed_;
        EXPECT_TRUE(oracle_.blocks(steps)) << "seed " << seed_;
    }

    void after() {
        const Told told = any_step();
        const auto pair = [&](const auto& other) {
            return other.from == told.way.from && other.to == told.way.to;
        };
        if (std::ranges::count_if(oracle_.ways, pair) >= OrderGraph::ways_max) return;
        Ring ring;
        const bool found = add(told, ring);
        const bool known = oracle_.knows(told.way);
        const uint32_t expected = known ? 0 : oracle_.shortest(told.way);
        if (!known) oracle_.add(told.way);
        EXPECT_EQ(found ? ring.length : 0, expected) << "seed " << seed_ << " step " << number_;
    }

    Random random_;
    TestSurroundings world_;
    Arena arena_;
    OrderGraph graph_;
    OrderOracle oracle_;
    std::vector<NodeId> nodes_;    ///< The members first, a lock's own one last.
    std::vector<NodeId> members_;  ///< Those that will merge.
    std::vector<Told> ways_;
    std::vector<Ring> rings_;
    std::map<LockId, NodeId> instances_;
    NodeId own_ = 0;
    NodeId whole_ = 0;
    uint64_t seed_;
    uint32_t number_ = 0;
};

TEST(OrderMerge, LeavesTheGraphAsIfTheClassesHadBeenOne) {
    uint64_t rings = 0;
    for (uint64_t seed = 1; seed <= 5'000 && !HasFailure(); ++seed) {
        RandomMerge program(seed);
        program.run();
        rings += program.rings;
    }
    EXPECT_GT(rings, 3'000u);
}

TEST(OrderMerge, SeesNothingOfRetiredNodesBeforeTheyMerge) {
    TestSurroundings world;
    Arena arena(world);
    OrderGraph graph(arena);
    const NodeId gone = graph.add_node();
    const NodeId other = graph.add_node();
    Ring ring;
    EXPECT_FALSE(graph.add({gone, other, Hold::exclusive, Want::write, {}}, {}, ring));
    graph.retire(gone);
    EXPECT_EQ(graph.steps(), 0u);
    EXPECT_EQ(graph.nodes(), 1u);
    EXPECT_TRUE(graph.is_used(gone));
    EXPECT_FALSE(graph.add({other, gone, Hold::exclusive, Want::write, {}}, {}, ring));
    graph.remove(gone);
    EXPECT_FALSE(graph.is_used(other));
}

TEST(OrderMerge, KeepsRetiredNodesWhileManyOthersGo) {
    TestSurroundings world;
    Arena arena(world);
    OrderGraph graph(arena);
    struct Rings final : OrderGraph::Merging {
        NodeId instance(LockId) override { return 0; }
        void found(const Ring&) override { ++count; }
        int count = 0;
    } rings;
    Ring ring;
    const NodeId one = graph.add_node();
    const NodeId two = graph.add_node();
    const NodeId table = graph.add_node();
    graph.add({one, table, Hold::exclusive, Want::write, {}}, {}, ring);
    graph.retire(one);
    for (int i = 0; i < 5'000; ++i) {
        const NodeId node = graph.add_node();
        EXPECT_FALSE(graph.add({node, table, Hold::exclusive, Want::write, {}}, {}, ring));
        EXPECT_FALSE(graph.add({two, node, Hold::exclusive, Want::write, {}}, {}, ring));
        graph.remove(node);
    }
    EXPECT_FALSE(graph.add({table, two, Hold::exclusive, Want::write, {}}, {}, ring));
    const NodeId members[] = {one, two};
    const NodeId whole = graph.add_node();
    graph.merge(members, whole, rings);
    EXPECT_EQ(rings.count, 1);
    EXPECT_EQ(graph.nodes(), 2u);
    EXPECT_EQ(graph.steps(), 2u);
}

}  // namespace
}  // namespace braidway::lockdep
