// SPDX-License-Identifier: Apache-2.0
#include "multipath/queue_length.h"

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "queue-length";

struct Queue {
    int32_t in_flight = 0;
    uint32_t repeat_count = 1;  ///< Shown, and nothing else: above 1 is 1.
};

class QueueLength final : public Selector {
  public:
    QueueLength(std::vector<Queue> queues, bool kernel_strict)
        : queues_(std::move(queues)),
          up_(static_cast<Index>(queues_.size())),
          kernel_strict_(kernel_strict) {
        for (Index path = 0; path < queues_.size(); ++path) up_.push_back(path);
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape&, Instant) override {
        if (up_.empty()) return std::nullopt;
        Index best = up_.front();
        for (Index path = best; path != up_.end(); path = up_.after(path)) {
            if (queues_[path].in_flight < queues_[best].in_flight) best = path;
            if (queues_[best].in_flight == 0) break;
        }
        up_.move_to_back(best);
        return best;
    }

    void started(Index path, uint64_t, Instant) override { add(path, 1); }
    void ended(Index path, uint64_t, Instant, Instant) override {
        DEBUG_CHECK(kernel_strict_ || queues_[path].in_flight > 0, "more ended than started");
        add(path, UINT32_MAX);
    }
    void carry_over(Index path, uint32_t in_flight, uint64_t) override { add(path, in_flight); }
    void fail_path(Index path) override { up_.remove(path); }
    void reinstate_path(Index path) override { up_.push_back(path); }

    PathArguments info_words(Index path) const override {
        return {std::to_string(queues_[path].in_flight)};
    }
    PathArguments table_words(Index path) const override {
        return {std::to_string(queues_[path].repeat_count)};
    }
    std::unique_ptr<Selector> clone() const override {
        return std::make_unique<QueueLength>(*this);
    }
    void append_state(std::vector<uint64_t>& state) const override {
        up_.append_to(state);
        for (const Queue& queue : queues_) state.push_back(static_cast<uint32_t>(queue.in_flight));
    }

  private:
    std::vector<Queue> queues_;
    IndexList up_;
    bool kernel_strict_;

    /// Wraps as the kernel's int does; UINT32_MAX takes one off.
    void add(Index path, uint32_t count) {
        int32_t& in_flight = queues_[path].in_flight;
        in_flight = static_cast<int32_t>(static_cast<uint32_t>(in_flight) + count);
    }
};

}  // namespace

Result<std::unique_ptr<Selector>> make_queue_length(const PathArguments&,
                                                    const std::vector<PathArguments>& paths,
                                                    const SelectorOptions& options) {
    std::vector<Queue> queues(paths.size());
    for (size_t path = 0; path < paths.size(); ++path) {
        const auto count = read_only_repeat_count(selector_name, path, paths[path]);
        if (!count) return std::unexpected(count.error());
        queues[path].repeat_count = *count;
    }
    return std::make_unique<QueueLength>(std::move(queues), options.kernel_strict);
}

}  // namespace braidway::multipath
