// What all files of the shim share: the handle of a tensor, and how exceptions become errors.
//
// A function of the C interface that can fail returns a code; the text of a thread's last error is kept until its next one.
// No exception leaves the shim (a function that cannot fail is `noexcept`), and no function keeps a pointer that it was given.

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <exception>
#include <string>

// A tensor, owned by the caller.
using in18_tensor = at::Tensor;

namespace in18 {

// The codes, as `operations.rs` has them.
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kOutOfMemory = 2;

// The text of this thread's last error.
std::string& last_error();

// Remembers an error and returns its code.
int remember(const std::exception& error);

// Runs a function of the interface. There is no autograd: in inference mode operations record nothing.
template <typename Function>
int guarded(Function&& function) noexcept {
  try {
    c10::InferenceMode guard;
    function();
    return kDone;
  } catch (const std::exception& error) {
    return remember(error);
  } catch (...) {
    return remember(std::runtime_error("an exception that is none of C++'s own"));
  }
}

}  // namespace in18
