// SPDX-License-Identifier: Apache-2.0
#include "multipath/round_robin_count.h"

#include <utility>

#include <fmt/format.h>

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "round-robin-count";

/// How long a path's turn is; 0 = not limited by this.
struct Turn {
    uint32_t ios = 1;
    uint64_t bytes = 0;
};

class RoundRobinCount final : public Selector {
  public:
    explicit RoundRobinCount(std::vector<Turn> turns)
        : turns_(std::move(turns)), up_(static_cast<Index>(turns_.size())) {
        for (Index path = 0; path < turns_.size(); ++path) up_.push_back(path);
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape& io, Instant) override {
        if (up_.empty()) return std::nullopt;
        const Index picked = up_.front();
        const Turn& turn = turns_[picked];
        ++used_.ios;
        used_.bytes += io.length_bytes;
        if ((turn.ios != 0 && used_.ios >= turn.ios) ||
            (turn.bytes != 0 && used_.bytes >= turn.bytes)) {
            used_ = nothing_used;
            up_.move_to_back(picked);
        }
        return picked;
    }

    void started(Index, uint64_t, Instant) override {}
    void ended(Index, uint64_t, Instant, Instant) override {}
    void carry_over(Index, uint32_t, uint64_t) override {}
    void fail_path(Index path) override {
        if (path == up_.front()) used_ = nothing_used;
        up_.remove(path);
    }
    void reinstate_path(Index path) override { up_.push_back(path); }

    PathArguments info_words(Index) const override { return {}; }
    PathArguments table_words(Index path) const override {
        return {std::to_string(turns_[path].ios), std::to_string(turns_[path].bytes)};
    }
    std::unique_ptr<Selector> clone() const override {
        return std::make_unique<RoundRobinCount>(*this);
    }
    void append_state(std::vector<uint64_t>& state) const override {
        up_.append_to(state);
        state.push_back(used_.ios);
        state.push_back(used_.bytes);
    }

  private:
    static constexpr Turn nothing_used{.ios = 0, .bytes = 0};

    std::vector<Turn> turns_;
    IndexList up_;
    Turn used_ = nothing_used;  ///< Of the turn of the list's head.
};

}  // namespace

Result<std::unique_ptr<Selector>> make_round_robin_count(const PathArguments&,
                                                         const std::vector<PathArguments>& paths,
                                                         const SelectorOptions&) {
    std::vector<Turn> turns(paths.size());
    for (size_t path = 0; path < paths.size(); ++path) {
        const PathArguments& words = paths[path];
        if (auto few = refuse_more_than(2, "[min_io [min_bytes]]", selector_name, path, words);
            !few)
            return std::unexpected(few.error());
        const auto ios = read_number({.selector = selector_name,
                                      .name = "min_io",
                                      .refusal = "invalid count of I/Os",
                                      .absent = 1},
                                     path, words);
        if (!ios) return std::unexpected(ios.error());
        const auto bytes = read_number({.selector = selector_name,
                                        .name = "min_bytes",
                                        .refusal = "invalid count of bytes",
                                        .place = 1},
                                       path, words);
        if (!bytes) return std::unexpected(bytes.error());
        if (*ios == 0 && *bytes == 0)
            return fail(
                fmt::format("{} ps: invalid count of I/Os: path {}: min_io and min_bytes "
                            "are 0; expected one above 0, so that the turn ends",
                            selector_name, path + 1));
        turns[path] = {.ios = *ios, .bytes = *bytes};
    }
    return std::make_unique<RoundRobinCount>(std::move(turns));
}

}  // namespace braidway::multipath
