# ruby-pg reads asynchronously in exec() since 1.3, and so does Rails.
require 'pg'

sizes = [97, 4001, 7919].flat_map { |width| (1..100).map { |rows| [width, rows] } }
db = PG.connect(host: ENV.fetch('PGHOST')) # it resolves names itself, only those it was given
sizes.each do |width, rows|
  got = db.exec_params('SELECT repeat($1, $2) FROM generate_series(1, $3)', ['x', width, rows])
  raise "#{got.ntuples} rows instead of #{rows}" unless got.ntuples == rows
end
puts "#{sizes.size} results"
