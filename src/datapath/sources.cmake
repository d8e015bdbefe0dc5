target_sources(brim PRIVATE src/datapath/bounds.c src/datapath/budget.c src/datapath/simulate.c src/datapath/text.c)
