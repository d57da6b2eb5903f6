// Results in planned memory.
//
// Many of libtorch's operations (convolutions and their gradients above all) return new tensors and cannot be told where to
// put them. So an allocator stands before libtorch's own: while a result is expected, the allocation of just its size is
// answered with the place that was planned for it. Whatever an operation allocates beside goes on to libtorch's allocator,
// and a result that came to lie elsewhere all the same is copied.

#pragma once

#include <ATen/core/Tensor.h>

namespace in18 {

// Makes memory known as planned: nobody but `forget_arena` ends it.
void remember_arena(void* start, size_t bytes);
void forget_arena(void* start);

// While it lives, this thread's next allocation of `dst`'s size is answered with `dst`'s place.
class Expectation {
 public:
  explicit Expectation(const at::Tensor& dst);
  ~Expectation();
  Expectation(const Expectation&) = delete;
  Expectation& operator=(const Expectation&) = delete;
};

// Moves a result to `dst`, unless it is there.
void deliver(const at::Tensor& dst, const at::Tensor& result);

// Runs an operation that returns a new tensor, and has it in `dst`.
template <typename Operation>
void into(const at::Tensor& dst, Operation&& operation) {
  at::Tensor result;
  {
    Expectation expectation(dst);
    result = operation();
  }
  deliver(dst, result);
}

}  // namespace in18
