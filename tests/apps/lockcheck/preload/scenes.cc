// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/scenes.h"

#include <cstring>

int main(int count, char** arguments) {
    using namespace braidway::lockcheck;
    for (const auto scenes : {lock_scenes(), thread_scenes(), process_scenes()}) {
        for (const Scene& scene : scenes)
            if (count > 1 && std::strcmp(scene.name, arguments[1]) == 0) return scene.play();
    }
    return 98;
}
