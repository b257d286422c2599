//! Values every service speaks of: ids, money, e-mail addresses, stock keeping units, cursors.
