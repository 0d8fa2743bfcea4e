// SPDX-License-Identifier: Apache-2.0
#include "multipath/historical_service_time.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "historical-service-time";

// Fixed point: 10 bits behind the point.
constexpr unsigned fixed_shift = 10;
constexpr uint64_t fixed_one = 1U << fixed_shift;
constexpr uint64_t fixed_half = fixed_one / 2;
constexpr uint64_t fixed_max = UINT64_MAX >> fixed_shift;
constexpr uint32_t base_weight_default = 972;  ///< 0.95.

constexpr unsigned bucket_shift = 24;  ///< Of nanoseconds: 16.8 ms.
constexpr size_t bucket_count = 64;
using Weights = std::array<uint32_t, bucket_count>;

uint64_t fixed_product(uint64_t left, uint64_t right) {
    return (left * right + fixed_half) >> fixed_shift;
}

/// `base` to the power of `exponent`, by squaring, rounded at each step.
uint64_t fixed_power(uint64_t base, unsigned exponent) {
    uint64_t power = fixed_one;
    for (uint64_t square = base; exponent != 0; exponent >>= 1) {
        if (exponent % 2 == 1) power = fixed_product(power, square);
        square = fixed_product(square, square);
    }
    return power;
}

Weights make_weights(uint32_t base) {
    Weights weights{};
    for (unsigned bucket = 0; bucket + 1 < bucket_count; ++bucket)
        weights[bucket] = static_cast<uint32_t>(fixed_power(base, bucket + 1));
    return weights;
}

struct History {
    uint64_t service_time = fixed_one;  ///< The average, in fixed point.
    uint64_t outstanding = 0;           ///< With kernel_strict two's complement, below 0.
    uint64_t stale_after = 0;
    uint64_t last_finish = 0;
};

int64_t as_signed(uint64_t value) {
    return static_cast<int64_t>(value);
}

/// Whether `left` is strictly better than `right`, which comes earlier in the list.
bool better(const History& left, const History& right, uint64_t now, uint64_t threshold) {
    const bool fewer = as_signed(left.outstanding - right.outstanding) < 0;
    const auto [shorter, longer] = std::minmax(left.service_time, right.service_time);
    if (longer <= threshold * shorter) return fewer;

    const bool left_idle = left.outstanding == 0;
    const bool right_idle = right.outstanding == 0;
    const bool left_stale = left.stale_after < now;
    const bool right_stale = right.stale_after < now;
    if ((left_idle && left_stale) || (right_idle && right_stale) || (left_idle && right_idle)) {
        const uint64_t left_age = right_idle ? left.stale_after : 0;
        const uint64_t right_age = left_idle ? right.stale_after : 0;
        return as_signed(left_age - right_age) < 0;
    }

    bool right_wins = left.service_time > right.service_time;
    if (left.outstanding != right.outstanding) {
        // Loses low bits rather than overflow; as in the kernel, from so many on.
        const bool many = as_signed(left.outstanding) >= as_signed(fixed_one) ||
                          as_signed(right.outstanding) >= as_signed(fixed_one);
        const unsigned shift = many ? fixed_shift : 0;
        right_wins = (1 + left.outstanding) * (left.service_time >> shift) >
                     (1 + right.outstanding) * (right.service_time >> shift);
    }
    // An estimate that nobody has confirmed for a while may win I/O, but only up to equal use.
    if (right_wins ? right_stale : left_stale) return fewer;
    return !right_wins;
}

class HistoricalServiceTime final : public Selector {
  public:
    HistoricalServiceTime(size_t paths, const Weights& weights, uint32_t threshold,
                          bool kernel_strict)
        : histories_(paths),
          up_(static_cast<Index>(paths)),
          up_count_(paths),
          weights_(weights),
          threshold_(threshold),
          kernel_strict_(kernel_strict) {
        for (Index path = 0; path < paths; ++path) up_.push_back(path);
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape&, Instant now) override {
        if (up_.empty()) return std::nullopt;
        const auto now_ns = static_cast<uint64_t>(now.ns);
        Index best = up_.front();
        for (Index path = up_.after(best); path != up_.end(); path = up_.after(path))
            if (better(histories_[path], histories_[best], now_ns, threshold_)) best = path;
        up_.move_to_back(best);
        return best;
    }

    void started(Index path, uint64_t, Instant) override { ++histories_[path].outstanding; }
    void ended(Index path, uint64_t length_bytes, Instant started_at, Instant now) override;
    void carry_over(Index path, uint32_t in_flight, uint64_t) override {
        histories_[path].outstanding += in_flight;
    }
    void fail_path(Index path) override {
        up_.remove(path);
        --up_count_;
    }
    void reinstate_path(Index path) override {
        up_.push_back(path);
        ++up_count_;
    }

    PathArguments group_words() const override {
        return {std::to_string(weights_.front()), std::to_string(threshold_)};
    }
    PathArguments info_words(Index path) const override {
        const History& history = histories_[path];
        return {std::to_string(history.service_time), std::to_string(history.outstanding),
                std::to_string(history.stale_after)};
    }
    PathArguments table_words(Index) const override { return {"0"}; }
    std::unique_ptr<Selector> clone() const override {
        return std::make_unique<HistoricalServiceTime>(*this);
    }
    void append_state(std::vector<uint64_t>& state) const override {
        up_.append_to(state);
        for (const History& history : histories_) {
            state.push_back(history.service_time);
            state.push_back(history.outstanding);
            state.push_back(history.stale_after);
            state.push_back(history.last_finish);
        }
    }

  private:
    std::vector<History> histories_;
    IndexList up_;
    uint64_t up_count_;
    Weights weights_;
    uint32_t threshold_;
    bool kernel_strict_;
};

void HistoricalServiceTime::ended(Index path, uint64_t, Instant started_at, Instant now) {
    History& history = histories_[path];
    DEBUG_CHECK(kernel_strict_ || history.outstanding > 0, "more ended than started");
    --history.outstanding;
    // What finished after this one started is taken to have been served before it.
    const auto now_ns = static_cast<uint64_t>(now.ns);
    const auto started_ns = static_cast<uint64_t>(started_at.ns);
    const uint64_t from =
        as_signed(history.last_finish - started_ns) > 0 ? history.last_finish : started_ns;
    const uint64_t service_ns = as_signed(now_ns - from) < 0 ? 0 : now_ns - from;
    history.last_finish = now_ns;

    const uint64_t weight =
        weights_[std::min<uint64_t>(service_ns >> bucket_shift, bucket_count - 1)];
    const uint64_t sample = std::min(service_ns * fixed_one, fixed_max);
    history.service_time =
        (history.service_time * weight + sample * (fixed_one - weight) + fixed_half) >> fixed_shift;
    history.stale_after = now_ns + up_count_ * (history.service_time >> fixed_shift);
}

/// Reads a number of the group; device-mapper has one refusal for all that is wrong with them.
Result<uint32_t> read_group_number(const PathArguments& group, size_t place, std::string_view name,
                                   uint32_t absent, uint32_t max) {
    if (place >= group.size()) return absent;
    const std::optional<uint32_t> value = read_wrapped(group[place]);
    if (!value || *value > max)
        return fail(
            fmt::format("path selector constructor failed: {}: {} '{}': expected a whole "
                        "number from 0 to {}",
                        selector_name, name, group[place], max));
    return *value;
}

}  // namespace

Result<std::unique_ptr<Selector>> make_historical_service_time(
    const PathArguments& group, const std::vector<PathArguments>& paths,
    const SelectorOptions& options) {
    if (group.size() > 2)
        return fail(
            fmt::format("path selector constructor failed: {}: {} words, expected at most "
                        "2: [base_weight [threshold_multiplier]]",
                        selector_name, group.size()));
    const auto base =
        read_group_number(group, 0, "base_weight", base_weight_default, fixed_one - 1);
    if (!base) return std::unexpected(base.error());
    const auto threshold = read_group_number(group, 1, "threshold_multiplier", 0, UINT32_MAX);
    if (!threshold) return std::unexpected(threshold.error());
    for (size_t path = 0; path < paths.size(); ++path)
        if (auto count = read_only_repeat_count(selector_name, path, paths[path]); !count)
            return std::unexpected(count.error());
    return std::make_unique<HistoricalServiceTime>(paths.size(), make_weights(*base), *threshold,
                                                   options.kernel_strict);
}

}  // namespace braidway::multipath
