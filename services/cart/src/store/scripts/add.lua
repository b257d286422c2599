-- Adds units of a variant to a cart.
-- KEYS: the cart, the record of the Idempotency-Key (unused without one)
-- ARGV: variant, units, most lines, most units of a line, seconds a cart lives, hash of the request or "", seconds the
--       record lives
if ARGV[6] ~= '' then
  local seen = redis.call('GET', KEYS[2])
  if seen == ARGV[6] then return 'done' end
  if seen then return 'key_reused' end
end
local held = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if held == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'too_many_lines' end
if held + tonumber(ARGV[2]) > tonumber(ARGV[4]) then return 'too_many_units' end
redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[6] ~= '' then redis.call('SET', KEYS[2], ARGV[6], 'EX', ARGV[7]) end
return 'done'
