# Tries a block several times with growing pauses; the last error is the caller's.
def patiently(times: 5, pause: 0.5)
  attempt = 0
  begin
    yield
  rescue IOError, SystemCallError
    attempt += 1
    raise if attempt >= times
    # Half of the pause is chance, so that a hundred clients do not come back as one.
    sleep(pause * 2**attempt * (0.5 + rand / 2))
    retry
  end
end
