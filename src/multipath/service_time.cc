// SPDX-License-Identifier: Apache-2.0
#include "multipath/service_time.h"

#include <algorithm>

#include "multipath/index_list.h"
#include "multipath/path_arguments.h"

namespace braidway::multipath {
namespace {

constexpr std::string_view selector_name = "service-time";
constexpr uint32_t relative_throughput_max = 100;
/// With kernel_strict: from here on sums are shifted, so that products stay within 64 bits.
constexpr unsigned kernel_sum_shift = 7;
constexpr uint64_t kernel_sum_max = UINT64_MAX >> kernel_sum_shift;
// ISO C++ has no 128-bit integers; both our compilers do.
__extension__ using Wide = unsigned __int128;

struct Load {
    uint64_t in_flight_bytes = 0;  ///< With kernel_strict only its low 32 bits count, signed.
    uint32_t relative_throughput = 1;
    uint32_t repeat_count = 1;  ///< Shown, and nothing else: above 1 is 1.
};

/// Whether `left` would serve a request of `length_bytes` strictly better than `right`.
bool better(const Load& left, const Load& right, uint64_t length_bytes) {
    if (left.relative_throughput == right.relative_throughput)
        return left.in_flight_bytes < right.in_flight_bytes;
    const bool faster = left.relative_throughput > right.relative_throughput;
    if (left.in_flight_bytes == right.in_flight_bytes || left.relative_throughput == 0 ||
        right.relative_throughput == 0)
        return faster;
    const Wide left_time = (Wide{left.in_flight_bytes} + length_bytes) * right.relative_throughput;
    const Wide right_time = (Wide{right.in_flight_bytes} + length_bytes) * left.relative_throughput;
    if (left_time != right_time) return left_time < right_time;
    return faster;
}

/// As better(), with the kernel's numbers: a signed 32-bit count, 64-bit products of sums whose low
/// bits go where products might overflow, and an answer cut down to 32 bits.
bool better_in_kernel(const Load& left, const Load& right, uint64_t length_bytes) {
    const auto left_count = static_cast<int32_t>(left.in_flight_bytes);
    const auto right_count = static_cast<int32_t>(right.in_flight_bytes);
    const auto below_zero = [](uint64_t difference) {
        return static_cast<int32_t>(static_cast<uint32_t>(difference)) < 0;
    };
    auto left_bytes = static_cast<uint64_t>(int64_t{left_count});
    auto right_bytes = static_cast<uint64_t>(int64_t{right_count});
    if (left.relative_throughput == right.relative_throughput)
        return below_zero(left_bytes - right_bytes);
    const bool faster = left.relative_throughput > right.relative_throughput;
    if (left_bytes == right_bytes || left.relative_throughput == 0 ||
        right.relative_throughput == 0)
        return faster;
    left_bytes += length_bytes;
    right_bytes += length_bytes;
    if (left_bytes >= kernel_sum_max || right_bytes >= kernel_sum_max) {
        left_bytes >>= kernel_sum_shift;
        right_bytes >>= kernel_sum_shift;
    }
    const uint64_t left_time = left_bytes * right.relative_throughput;
    const uint64_t right_time = right_bytes * left.relative_throughput;
    if (left_time != right_time) return below_zero(left_time - right_time);
    return faster;
}

class ServiceTime final : public Selector {
  public:
    ServiceTime(std::vector<Load> loads, bool kernel_strict)
        : loads_(std::move(loads)),
          up_(static_cast<Index>(loads_.size())),
          kernel_strict_(kernel_strict) {
        for (Index path = 0; path < loads_.size(); ++path) {
            up_.push_back(path);
            highest_throughput_ = std::max(highest_throughput_, loads_[path].relative_throughput);
        }
    }

    std::string_view name() const override { return selector_name; }

    std::optional<Index> pick(const IoShape& io, Instant) override {
        if (up_.empty()) return std::nullopt;
        const Index best = kernel_strict_ ? best_in_kernel(io) : best_of_all(io);
        up_.move_to_back(best);
        return best;
    }

    void started(Index path, uint64_t length_bytes, Instant) override {
        loads_[path].in_flight_bytes += length_bytes;
    }
    void ended(Index path, uint64_t length_bytes, Instant, Instant) override {
        DEBUG_CHECK(kernel_strict_ || loads_[path].in_flight_bytes >= length_bytes,
                    "more ended than started");
        loads_[path].in_flight_bytes -= length_bytes;
    }
    void carry_over(Index path, uint32_t, uint64_t in_flight_bytes) override {
        loads_[path].in_flight_bytes += in_flight_bytes;
    }
    void fail_path(Index path) override { up_.remove(path); }
    void reinstate_path(Index path) override { up_.push_back(path); }

    PathArguments info_words(Index path) const override {
        const Load& load = loads_[path];
        return {kernel_strict_ ? std::to_string(static_cast<int32_t>(load.in_flight_bytes))
                               : std::to_string(load.in_flight_bytes),
                std::to_string(load.relative_throughput)};
    }
    PathArguments table_words(Index path) const override {
        return {std::to_string(loads_[path].repeat_count),
                std::to_string(loads_[path].relative_throughput)};
    }
    std::unique_ptr<Selector> clone() const override {
        return std::make_unique<ServiceTime>(*this);
    }
    void append_state(std::vector<uint64_t>& state) const override {
        up_.append_to(state);
        for (const Load& load : loads_)
            state.push_back(kernel_strict_ ? static_cast<uint32_t>(load.in_flight_bytes)
                                           : load.in_flight_bytes);
    }

  private:
    std::vector<Load> loads_;
    IndexList up_;
    bool kernel_strict_;
    uint32_t highest_throughput_ = 0;

    Index best_of_all(const IoShape& io) const {
        Index best = up_.front();
        for (Index path = best; path != up_.end(); path = up_.after(path)) {
            if (better(loads_[path], loads_[best], io.length_bytes)) best = path;
            // Nothing is better than idle and fast; idle paths are mostly the first ones.
            const Load& load = loads_[best];
            if (load.in_flight_bytes == 0 && load.relative_throughput == highest_throughput_) break;
        }
        return best;
    }
    Index best_in_kernel(const IoShape& io) const {
        Index best = up_.front();
        for (Index path = up_.after(best); path != up_.end(); path = up_.after(path))
            if (better_in_kernel(loads_[path], loads_[best], io.length_bytes)) best = path;
        return best;
    }
};

}  // namespace

Result<std::unique_ptr<Selector>> make_service_time(const PathArguments&,
                                                    const std::vector<PathArguments>& paths,
                                                    const SelectorOptions& options) {
    std::vector<Load> loads(paths.size());
    for (size_t path = 0; path < paths.size(); ++path) {
        const PathArguments& words = paths[path];
        if (auto few = refuse_more_than(2, "[repeat_count [relative_throughput]]", selector_name,
                                        path, words);
            !few)
            return std::unexpected(few.error());
        const auto count = read_repeat_count(selector_name, path, words);
        if (!count) return std::unexpected(count.error());
        loads[path].repeat_count = *count;
        const NumberArgument relative_throughput{.selector = selector_name,
                                                 .name = "relative_throughput",
                                                 .refusal = "invalid throughput value",
                                                 .place = 1,
                                                 .absent = 1,
                                                 .max = relative_throughput_max};
        const auto throughput = read_number(relative_throughput, path, words);
        if (!throughput) return std::unexpected(throughput.error());
        loads[path].relative_throughput = *throughput;
    }
    return std::make_unique<ServiceTime>(std::move(loads), options.kernel_strict);
}

}  // namespace braidway::multipath
