// Opaque handles only: the headers of ATen name these types, and we never use them.
#pragma once
enum cusolverStatus_t : unsigned { CUSOLVER_STATUS_SUCCESS = 0 };
