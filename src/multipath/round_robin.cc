// SPDX-License-Identifier: Apache-2.0
#include "multipath/round_robin.h"

#include <utility>

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "round-robin";

class RoundRobin final : public Selector {
  public:
    explicit RoundRobin(std::vector<uint32_t> repeat_counts)
        : repeat_counts_(std::move(repeat_counts)), up_(static_cast<Index>(repeat_counts_.size())) {
        for (Index path = 0; path < repeat_counts_.size(); ++path) up_.push_back(path);
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape&, Instant) override {
        if (up_.empty()) return std::nullopt;
        const Index picked = up_.front();
        up_.move_to_back(picked);
        return picked;
    }

    void started(Index, uint64_t, Instant) override {}
    void ended(Index, uint64_t, Instant, Instant) override {}
    void carry_over(Index, uint32_t, uint64_t) override {}
    void fail_path(Index path) override { up_.remove(path); }
    void reinstate_path(Index path) override { up_.push_front(path); }

    PathArguments info_words(Index) const override { return {}; }
    PathArguments table_words(Index path) const override {
        return {std::to_string(repeat_counts_[path])};
    }
    std::unique_ptr<Selector> clone() const override { return std::make_unique<RoundRobin>(*this); }
    void append_state(std::vector<uint64_t>& state) const override { up_.append_to(state); }

  private:
    std::vector<uint32_t> repeat_counts_;  ///< Shown, and nothing else: above 1 is 1.
    IndexList up_;
};

}  // namespace

Result<std::unique_ptr<Selector>> make_round_robin(const PathArguments&,
                                                   const std::vector<PathArguments>& paths,
                                                   const SelectorOptions&) {
    std::vector<uint32_t> repeat_counts;
    for (size_t path = 0; path < paths.size(); ++path) {
        const auto count = read_only_repeat_count(selector_name, path, paths[path]);
        if (!count) return std::unexpected(count.error());
        repeat_counts.push_back(*count);
    }
    return std::make_unique<RoundRobin>(std::move(repeat_counts));
}

}  // namespace braidway::multipath
