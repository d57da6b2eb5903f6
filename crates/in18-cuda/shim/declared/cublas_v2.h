// Opaque handles only: the headers of ATen name these types, and we never use them.
#pragma once
typedef struct cublasContext* cublasHandle_t;
enum cublasStatus_t : unsigned { CUBLAS_STATUS_SUCCESS = 0 };
