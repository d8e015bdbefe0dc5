target_sources(brim PRIVATE src/datapath/bounds.c src/datapath/dot.c src/datapath/text.c)
