// Blocks and threads: a thread is called by a fiber, which is left at a barrier until all others have come to it.

#include "emulated.h"

#include <setjmp.h>
#include <ucontext.h>

#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace in18 {
namespace {

constexpr size_t kStack = 64 << 10;

// Calls one thread after another until one of them waits; lives on for the next block.
struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool is_begun = false;
  // Where it was left: a jump there takes no system call.
  jmp_buf left;
  // The one that waits.
  uint3 thread{};
};

class Block {
 public:
  explicit Block(std::minstd_rand& chance) : chance_(chance) {}

  void run(dim3 threads, const std::function<void()>& kernel) {
    kernel_ = &kernel;
    used_ = 0;
    for (unsigned y = 0; y < threads.y; ++y) {
      for (unsigned x = 0; x < threads.x; ++x) {
        left_.push_back({x, y, 0});
      }
    }
    std::shuffle(left_.begin(), left_.end(), chance_);
    const size_t all = left_.size();
    while (!left_.empty()) {
      enter(fresh());
    }
    while (!waiting_.empty()) {
      if (waiting_.size() != all) {
        // On a GPU it may go on or wait for ever.
        waiting_.clear();
        // They stand in the middle of this kernel.
        fibers_.clear();
        throw std::logic_error("not all threads of a block came to a barrier");
      }
      std::vector<Fiber*> passed;
      passed.swap(waiting_);
      std::shuffle(passed.begin(), passed.end(), chance_);
      for (Fiber* const fiber : passed) {
        enter(*fiber);
      }
    }
  }

  // Called by a fiber.
  void wait() {
    Fiber* const fiber = running_;
    fiber->thread = threadIdx;
    waiting_.push_back(fiber);
    leave();
    threadIdx = running_->thread;
  }

 private:
  Fiber& fresh() {
    if (used_ == fibers_.size()) {
      fibers_.push_back(std::make_unique<Fiber>());
    }
    return *fibers_[used_++];
  }

  // Runs a fiber until it leaves.
  void enter(Fiber& fiber) {
    running_ = &fiber;
    if (_setjmp(scheduler_) != 0) {
      return;
    }
    if (fiber.is_begun) {
      _longjmp(fiber.left, 1);
    }
    fiber.is_begun = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = fiber.stack.get();
    context.uc_stack.ss_size = kStack;
    makecontext(&context, &Block::call_threads, 0);
    setcontext(&context);
  }

  // Called by a fiber; returns when it is entered again.
  void leave() {
    if (_setjmp(running_->left) == 0) {
      _longjmp(scheduler_, 1);
    }
  }

  // What a fiber does.
  static void call_threads();

  std::minstd_rand& chance_;
  const std::function<void()>* kernel_ = nullptr;
  // Threads that have not begun.
  std::vector<uint3> left_;
  std::vector<Fiber*> waiting_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  // So many of them have a thread of this block.
  size_t used_ = 0;
  Fiber* running_ = nullptr;
  jmp_buf scheduler_;
};

std::minstd_rand chance;
Block block(chance);

void Block::call_threads() {
  while (true) {
    while (!block.left_.empty()) {
      threadIdx = block.left_.back();
      block.left_.pop_back();
      (*block.kernel_)();
    }
    block.leave();
  }
}

}  // namespace

void emulate(dim3 blocks, dim3 threads, const std::function<void()>& kernel) {
  // There is one GPU, and it runs one kernel at a time.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  gridDim = blocks;
  blockDim = threads;
  std::vector<uint3> order;
  for (unsigned y = 0; y < blocks.y; ++y) {
    for (unsigned x = 0; x < blocks.x; ++x) {
      order.push_back({x, y, 0});
    }
  }
  std::shuffle(order.begin(), order.end(), chance);
  for (const uint3 at : order) {
    blockIdx = at;
    block.run(threads, kernel);
  }
}

}  // namespace in18

void __syncthreads() { in18::block.wait(); }
