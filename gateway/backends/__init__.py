"""Where answers come from: servers of the Open Inference Protocol (`oip`), or this process (`embedded`)."""
