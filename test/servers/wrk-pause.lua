-- Clients that are idle between two requests, for 50 ms on average: what a reload does to idle connections can be seen.
function delay()
  return math.random(0, 100)
end
