// What the emulator's runtime has beside CUDA's own functions.

#pragma once

#include "libtorch.h"

namespace in18 {

Streams new_streams();

}  // namespace in18
