# The reader and writer of the wire format are generated from our own description of it.
set(onnx_pb_c ${PROJECT_BINARY_DIR}/generated/onnx/onnx.pb-c.c)
set(onnx_pb_h ${PROJECT_BINARY_DIR}/generated/onnx/onnx.pb-c.h)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated/onnx)
add_custom_command(
  OUTPUT ${onnx_pb_c} ${onnx_pb_h}
  COMMAND ${PROTOC_C} --proto_path=${PROJECT_SOURCE_DIR}/src/onnx
          --c_out=${PROJECT_BINARY_DIR}/generated/onnx ${PROJECT_SOURCE_DIR}/src/onnx/onnx.proto
  DEPENDS ${PROJECT_SOURCE_DIR}/src/onnx/onnx.proto
  COMMENT "Generating onnx.pb-c.c"
  VERBATIM)
set_source_files_properties(${onnx_pb_c} PROPERTIES COMPILE_OPTIONS -w)
target_sources(brim PRIVATE ${onnx_pb_c} ${onnx_pb_h} src/onnx/expand.c src/onnx/function.c src/onnx/external.c
                            src/onnx/load_onnx.c src/onnx/qonnx.c src/onnx/save_onnx.c src/onnx/tensor.c src/onnx/wire.c)
