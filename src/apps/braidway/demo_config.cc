// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/demo_config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "apps/braidway/places.h"

namespace braidway::apps {
namespace {

using namespace std::chrono_literals;
using daemon::Address;
using daemon::LayerConfig;
using daemon::LayerKind;

/// All faults that `set path` can switch, off.
std::vector<LayerConfig> switched_off_layers() {
    std::vector<LayerConfig> layers;
    for (const LayerKind kind : {LayerKind::delay, LayerKind::error, LayerKind::flakey}) {
        LayerConfig layer;
        layer.kind = kind;
        layer.enabled = false;
        layer.flakey.up = 5s;
        layer.flakey.down = 1s;
        layers.push_back(layer);
    }
    return layers;
}

daemon::PathConfig demo_path(const std::string& name, const std::string& image) {
    daemon::PathConfig path;
    path.name = name;
    path.device.path = image;
    path.layers = switched_off_layers();
    path.io_timeout = limits::io_timeout_default;
    path.check.polling_interval = 2s;
    path.check.max_polling_interval = 8s;
    return path;
}

Result<void> add_addresses(daemon::ExportConfig& made, const std::string& state,
                           const std::vector<std::string>& nbd) {
    const std::vector<std::string> usual{demo_tcp_address};
    std::vector<std::string> all{"unix:" + state + "/demo.sock"};
    all.insert(all.end(), (nbd.empty() ? usual : nbd).begin(), (nbd.empty() ? usual : nbd).end());
    for (const std::string& text : all) {
        const Result<Address> address = exports::NbdAddress::parse(text);
        if (!address) return fail("--nbd: " + address.error().message, EINVAL);
        if (std::ranges::find(made.nbd, *address) == made.nbd.end()) made.nbd.push_back(*address);
    }
    return {};
}

}  // namespace

Result<daemon::Config> make_demo_config(const std::string& state,
                                        const std::vector<std::string>& nbd) {
    daemon::Config config;
    config.api.socket = demo_api_socket(state);
    if (const Result<void> fits = exports::check_socket_path(state + "/demo.sock"); !fits)
        return fail(fmt::format("--state: {}", fits.error().message), EINVAL);
    for (const char* name : {"a1", "a2", "b1", "b2"})
        config.paths.push_back(demo_path(name, state + "/disk.img"));
    daemon::MapConfig map;
    map.name = "demo";
    map.groups = {{"controller A", "service-time", {}, {{"a1", {}}, {"a2", {}}}},
                  {"controller B", "service-time", {}, {{"b1", {}}, {"b2", {}}}}};
    config.maps.push_back(std::move(map));
    daemon::ExportConfig made;
    made.name = "demo";
    made.map = "demo";
    made.description = "Braidway's demo volume";
    if (const Result<void> added = add_addresses(made, state, nbd); !added)
        return std::unexpected(added.error());
    config.exports.push_back(std::move(made));
    return config;
}

Result<void> make_demo_image(const std::string& state) {
    std::error_code code;
    std::filesystem::create_directories(state, code);
    if (code)
        return fail(fmt::format("state folder {}: {} (--state DIR chooses another one)", state,
                                code.message()),
                    code.value());
    const std::string image = state + "/disk.img";
    constexpr mode_t image_mode = 0600;
    const int fd = ::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, image_mode);
    struct stat status{};
    // An image that is there already keeps its size and what is in it.
    const bool made = fd >= 0 && ::fstat(fd, &status) == 0 &&
                      (status.st_size != 0 || !S_ISREG(status.st_mode) ||
                       ::ftruncate(fd, static_cast<off_t>(demo_image_bytes)) == 0);
    const int problem = made ? 0 : errno;
    if (fd >= 0) ::close(fd);
    if (made) return {};
    return fail(fmt::format("image {}: {} (--state DIR chooses another folder)", image,
                            errno_text(problem)),
                problem);
}

std::string demo_hints(const daemon::Config& config, const std::string& default_state) {
    // Only the demo in the usual place is found without being named.
    const bool usual = config.api.socket == demo_api_socket(default_state);
    const std::string braidway =
        usual ? "braidway" : fmt::format("braidway --api {}", config.api.socket);
    const std::vector<Address>& addresses = config.exports.front().nbd;
    std::string text = "\nThe volume `demo` is served on\n";
    for (const Address& each : addresses) text += fmt::format("  {}\n", each.text());
    const std::string unix_path = addresses.front().path;
    text += fmt::format(
        "\nTry in a second terminal:\n"
        "  {0} show topology\n"
        "  {0} show paths\n"
        "  nbdinfo 'nbd+unix:///demo?socket={1}'\n",
        braidway, unix_path);
    const auto tcp = std::ranges::find(addresses, Address::Kind::tcp, &Address::kind);
    if (tcp != addresses.end())
        text += fmt::format("  nbdinfo nbd://{}/demo\n", tcp->text().substr(4));
    text += fmt::format(
        "Break it while a client uses it:\n"
        "  {0} fail path a1\n"
        "  {0} set path a2 error on class=transport\n"
        "  {0} switch group demo 2\n"
        "  {0} events --follow\n"
        "End it with Ctrl-C.\n\n",
        braidway);
    return text;
}

}  // namespace braidway::apps
