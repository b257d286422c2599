-- Sets the units of a variant that is in the cart. Gives 0 where it is not.
-- KEYS: the cart   ARGV: variant, units, seconds a cart lives
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
