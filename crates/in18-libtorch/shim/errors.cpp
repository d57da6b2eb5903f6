#include "common.h"

#include <cstdint>
#include <new>

namespace in18 {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

int remember(const std::exception& error) {
  std::string text = error.what();
  // What follows is where in libtorch it happened.
  const auto end = text.find('\n');
  last_error() = text.substr(0, end);
  const bool is_memory = dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
                         dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                         text.find("out of memory") != std::string::npos ||
                         text.find("can't allocate memory") != std::string::npos ||
                         text.find("not enough memory") != std::string::npos;
  return is_memory ? kOutOfMemory : kFailed;
}

}  // namespace in18

// The digest of the sources that this library is made of: a program loads none of other sources than it knows.
extern "C" __attribute__((visibility("default"))) uint64_t in18_build() noexcept { return IN18_BUILD; }
