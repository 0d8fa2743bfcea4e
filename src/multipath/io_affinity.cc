// SPDX-License-Identifier: Apache-2.0
#include "multipath/io_affinity.h"

#include <algorithm>

#include <fmt/format.h>

#include "multipath/cpu_mask.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "io-affinity";
constexpr Selector::Index no_index = UINT32_MAX;

struct Affinity {
    std::string mask;  ///< As it is shown; also with CPUs that belong to other paths.
    bool up = true;
};

class IoAffinity final : public Selector {
  public:
    explicit IoAffinity(std::vector<uint32_t> node_of_cpu) : node_of_cpu_(std::move(node_of_cpu)) {}

    /// Takes the next path. False when each of its CPUs belongs to another one.
    bool add(const CpuSet& cpus) {
        const auto path = static_cast<Index>(affinities_.size());
        bool taken = false;
        for (const uint32_t cpu : cpus) {
            if (cpu >= path_of_cpu_.size()) path_of_cpu_.resize(cpu + 1, no_index);
            if (path_of_cpu_[cpu] != no_index) continue;
            path_of_cpu_[cpu] = path;
            taken = true;
        }
        const auto width = static_cast<uint32_t>(node_of_cpu_.size());
        affinities_.push_back({.mask = cpu_mask_text(cpus, width)});
        return taken;
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape& io, Instant) override {
        const Index own = io.cpu < path_of_cpu_.size() ? path_of_cpu_[io.cpu] : no_index;
        if (own == no_index)
            ++misses_;
        else if (affinities_[own].up)
            return own;
        const uint32_t node = node_of(io.cpu);
        std::optional<Index> elsewhere;
        for (uint32_t cpu = 0; cpu < path_of_cpu_.size(); ++cpu) {
            const Index path = path_of_cpu_[cpu];
            if (path == no_index || !affinities_[path].up) continue;
            if (node_of(cpu) == node) return path;
            if (!elsewhere) elsewhere = path;
        }
        return elsewhere;
    }

    void started(Index, uint64_t, Instant) override {}
    void ended(Index, uint64_t, Instant, Instant) override {}
    void carry_over(Index, uint32_t, uint64_t) override {}
    void fail_path(Index path) override { affinities_[path].up = false; }
    void reinstate_path(Index path) override { affinities_[path].up = true; }

    PathArguments info_words(Index) const override {
        return {std::to_string(static_cast<int32_t>(misses_))};
    }
    PathArguments table_words(Index path) const override { return {affinities_[path].mask}; }
    std::unique_ptr<Selector> clone() const override { return std::make_unique<IoAffinity>(*this); }
    void append_state(std::vector<uint64_t>& state) const override {
        for (const Affinity& affinity : affinities_) state.push_back(affinity.up ? 1 : 0);
    }

  private:
    std::vector<uint32_t> node_of_cpu_;
    std::vector<Index> path_of_cpu_;  ///< no_index = no path. A failure does not change it.
    std::vector<Affinity> affinities_;
    uint32_t misses_ = 0;  ///< Shown as a signed number, as in the kernel.

    uint32_t node_of(uint32_t cpu) const {
        return cpu < node_of_cpu_.size() ? node_of_cpu_[cpu] : 0;
    }
};

}  // namespace

Result<std::unique_ptr<Selector>> make_io_affinity(const PathArguments&,
                                                   const std::vector<PathArguments>& paths,
                                                   const SelectorOptions& options) {
    auto selector = std::make_unique<IoAffinity>(options.node_of_cpu);
    for (size_t path = 0; path < paths.size(); ++path) {
        const PathArguments& words = paths[path];
        if (words.size() != 1)
            return fail(
                fmt::format("{} ps: invalid number of arguments: path {}: {} words, "
                            "expected one: a CPU mask such as ff",
                            selector_name, path + 1, words.size()));
        const auto cpus = parse_cpu_mask(words.front());
        if (!cpus)
            return fail(
                fmt::format("{} ps: invalid cpumask: path {}: '{}': {}; expected a mask "
                            "such as ff or ff,00000000",
                            selector_name, path + 1, words.front(), cpus.error().message));
        if (!selector->add(*cpus))
            return fail(
                fmt::format("{} ps: No new/valid CPU mapping found: path {}: '{}': no CPU "
                            "that the paths before it leave to it",
                            selector_name, path + 1, words.front()));
    }
    return selector;
}

}  // namespace braidway::multipath
