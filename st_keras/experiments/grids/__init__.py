"""Many experiments of one design: their cells, costs, tables and figures."""
