brim_test(datapath text)
brim_test(datapath bounds SOURCES oracle/datapath_oracle.c)
brim_test(datapath dot SOURCES oracle/datapath_oracle.c)
brim_test(datapath semantics SOURCES oracle/datapath_oracle.c)
