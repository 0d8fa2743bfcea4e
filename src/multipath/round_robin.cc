// SPDX-License-Identifier: Apache-2.0
#include "multipath/round_robin.h"

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "round-robin";

class RoundRobin final : public Selector {
  public:
    explicit RoundRobin(Index paths) : up_(paths) {
        for (Index path = 0; path < paths; ++path) up_.push_back(path);
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

  private:
    IndexList up_;
};

}  // namespace

Result<std::unique_ptr<Selector>> make_round_robin(const std::vector<PathArguments>& paths) {
    for (size_t path = 0; path < paths.size(); ++path) {
        const PathArguments& words = paths[path];
        if (auto few = refuse_more_than(1, "[repeat_count]", selector_name, path, words); !few)
            return std::unexpected(few.error());
        const NumberArgument repeat_count{.selector = selector_name, .name = "repeat_count"};
        if (auto count = read_number(repeat_count, path, words); !count)
            return std::unexpected(count.error());
    }
    return std::make_unique<RoundRobin>(static_cast<Selector::Index>(paths.size()));
}

}  // namespace braidway::multipath
