// Results in planned memory.
//
// Many of libtorch's operations (convolutions and their gradients above all) return new tensors and cannot be told where to
// put them. So an allocator stands before libtorch's own: while a result is expected, one allocation of just its size is
// answered with the place that was planned for it. Whatever an operation allocates beside goes on to libtorch's allocator,
// and a result that came to lie elsewhere all the same is copied. Then the caller is told which of the allocations of that
// size the result was, so that it lies right from the next run on.
//
// The allocator for GPUs lies in `in18-cuda`'s library, and asks here, too.

#pragma once

#include <ATen/core/Tensor.h>

namespace in18 {

// Makes memory known as planned: nobody but `forget_arena` ends it.
void remember_arena(void* start, size_t bytes);
void forget_arena(void* start);
bool is_planned(const void* pointer);

// The place of an allocation on a kind of device: planned memory, or what `allocate` gives.
void* place_on(c10::DeviceType device, size_t bytes, void* (*allocate)(void* context, size_t bytes), void* context);

// While it lives, this thread's allocation number `ordinal`, from 0, among those of `dst`'s size is answered with `dst`'s place.
class Expectation {
 public:
  Expectation(const at::Tensor& dst, int ordinal);
  ~Expectation();
  Expectation(const Expectation&) = delete;
  Expectation& operator=(const Expectation&) = delete;
};

// Moves a result of the last expectation's to `dst`, unless it is there; `ordinal` becomes the number of its allocation.
void deliver(const at::Tensor& dst, const at::Tensor& result, int* ordinal);

// How many results of this thread's operations had to be copied.
int64_t copied();

// Runs an operation that returns a new tensor, and has it in `dst`. `ordinal`: as the last run left it, at first 0.
template <typename Operation>
void into(const at::Tensor& dst, int* ordinal, Operation&& operation) {
  at::Tensor result;
  {
    Expectation expectation(dst, *ordinal);
    result = operation();
  }
  deliver(dst, result, ordinal);
}

}  // namespace in18
