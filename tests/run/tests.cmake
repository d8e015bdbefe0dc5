brim_test(run conv)
brim_test(run nn)
brim_test(run quant)
brim_test(run plan)
brim_test(run session TIMEOUT 900) # under sanitizers on a busy machine
brim_test(run layers SOURCES oracle/oracle_net.c oracle/datapath_oracle.c)
brim_test(run tensor_ops)
brim_test(run elementwise)
brim_test(run conformance LABELS conformance)
